"""What can be integrated: systems that give velocity and outputs at a state, and know no step size."""

from dataclasses import dataclass
from typing import Protocol, TypeGuard, runtime_checkable

from torch import Tensor

from feature_lazy.dynamics.regularisers import Penalty
from feature_lazy.dynamics.state import State


@dataclass(frozen=True)
class Flops:
    """Floating point operations for one member.

    Attributes:
        evaluate: velocity and outputs.
        outputs: outputs alone.
        linearise: the factors of the tangent kernel on the training set; 0 where there are none to make it from.
        kernel: the tangent kernel from its factors, or from the Jacobian.
        pull_back: one Jᵀa.
    """

    evaluate: float = 0.0
    outputs: float = 0.0
    linearise: float = 0.0
    kernel: float = 0.0
    pull_back: float = 0.0


class System(Protocol):
    """An autonomous flow of several members; ``member`` says which member each row is.

    It has a vector of outputs: for whoever integrates it P numbers, whatever they are. Those of a network with C
    outputs are P·C, the outputs of a pattern side by side.
    """

    @property
    def flops(self) -> Flops:
        """What its operations cost."""
        ...

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (M, D) and outputs (M, P) at y (M, D)."""
        ...

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """Outputs (M, P) alone, cheaper than ``evaluate``."""
        ...


class WeightSystem(System, Protocol):
    """A flow of a network's weights, whatever else its state holds."""

    def weights(self, y: Tensor) -> Tensor:
        """The weights (M, N) in a state y (M, D)."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A system that can tell where nothing moves any more."""

    def stationary(self, state: State) -> Tensor:
        """Which members (M,) are at a point without force, zero or rounding; see ``dynamics.stationary``."""
        ...


@runtime_checkable
class Telling(Protocol):
    """A system whose states have more than weights, such as a hyperparameter, or the length of the last step."""

    def told(self, y: Tensor) -> dict[str, Tensor]:
        """Numbers (M,) of states y (M, D), by the names of their columns in the history."""
        ...


class Force(Protocol):
    """What drives outputs."""

    def push(self, outputs: Tensor) -> Tensor:
        """b = −∂ℓ/∂F/P, at F (M, P): (M, P)."""
        ...

    def curvatures(self, outputs: Tensor) -> Tensor:
        """Bounds c ≥ 0 on how it changes, −∂b/∂F below diag(c), at F (M, P): (M, P), or of the first n outputs."""
        ...


class Tangent(Protocol):
    """A flow's outputs to first order around a state, with the Jacobian αJ."""

    @property
    def outputs(self) -> Tensor:
        """The outputs there, (M, P)."""
        ...

    def kernel(self) -> Tensor:
        """Θ = JJᵀ, (M, P, P)."""
        ...

    def push_forward(self, v: Tensor) -> Tensor:
        """αJv for v (M, D): (M, P)."""
        ...

    def pull_back(self, a: Tensor) -> Tensor:
        """Jᵀa/α for a (M, P): (M, D)."""
        ...

    def select(self, rows: Tensor) -> "Tangent":
        """The same for some members, (M,)."""
        ...


class TangentSystem(System, Protocol):
    """A flow ẏ = Jᵀb/α, b = −∂ℓ/∂F/P, of outputs F with the Jacobian αJ: what an exponential integrator needs.

    With a penalty R of one rate λ it is ẏ = Jᵀb/α − λ(y − c).
    """

    @property
    def alpha(self) -> Tensor:
        """α of each member of the batch, (M,)."""
        ...

    @property
    def penalty(self) -> Penalty | None:
        """R, if there is one."""
        ...

    @property
    def n_outputs(self) -> int:
        """Outputs C of each pattern."""
        ...

    def linearise(self, y: Tensor, member: Tensor) -> Tangent:
        """The outputs to first order around y (M, D)."""
        ...

    def force(self, member: Tensor) -> Force:
        """What drives the outputs of some members, (M,)."""
        ...

    def restricted(self, member: Tensor, patterns: Tensor) -> "TangentSystem":
        """The flow without the push of all patterns but some, (M, k), of members (M,), whose rows count from 0."""
        ...

    @property
    def kernel_fits(self) -> bool:
        """Whether Θ of one member fits into the memory limit, and R has one rate; else the flow is followed without."""
        ...

    @property
    def stiffness(self) -> float:
        """Largest eigenvalue of ∂²ℓ/∂F²/P: times the largest eigenvalue of Θ, it bounds the rates of the flow."""
        ...

    def laziness(self, member: Tensor) -> Tensor:
        """How far into the lazy regime, (M,): above 1 the kernel is expected to stay; decides what is tried first."""
        ...


def has_tangent(system: System) -> TypeGuard[TangentSystem]:
    """Whether a system is a ``TangentSystem``.

    By one name: asked several times a step, a protocol would compute every property to see that it is there.
    """
    return hasattr(system, "linearise")
