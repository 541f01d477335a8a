"""What a step is: the interfaces between which every method is a choice."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.system import System


class Dense(Protocol):
    """The solution anywhere within a step, for rows (M,) of the batch at fractions theta (M,) ∈ [0, 1] of the step."""

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        """y, (M, D)."""
        ...

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        """Outputs, (M, P)."""
        ...


@dataclass(frozen=True)
class Trial:
    """One step tried for every member, to be accepted or rejected.

    Attributes:
        y: state after the step, (M, D).
        velocity: dy/dt there, (M, D).
        outputs: outputs there, (M, P).
        error: what bounds the step, over its bound, (M,) float64; infinite where anything is not finite.
        order: exponent with which the error grows with dt, (M,) float64.
        dense: the solution within the step.
        gradients: velocities evaluated, and passes of the same cost, (M,) int64.
        kernels: tangent kernels computed, (M,) int64.
        flops: floating point operations, (M,) float64.
        calls: evaluations one after another, whatever their size, (M,) float64.
        memory: what the stepper keeps, (M, M) float64.
    """

    y: Tensor
    velocity: Tensor
    outputs: Tensor
    error: Tensor
    order: Tensor
    dense: Dense
    gradients: Tensor
    kernels: Tensor
    flops: Tensor
    calls: Tensor
    memory: Tensor


S_contra = TypeVar("S_contra", bound=System, contravariant=True)


class Stepper(Protocol[S_contra]):
    """Tries a step of some kind of system; it never decides whether the step counts."""

    @property
    def memory(self) -> int:
        """Numbers that it keeps for each member from step to step."""
        ...

    def begin(self, system: S_contra, state: State) -> State:
        """Set ``dt`` before a step, where a stepper chooses among methods that have steps of their own."""
        ...

    def step(self, system: S_contra, state: State) -> Trial:
        """Try one step of size ``state.dt`` for every member."""
        ...

    def report(self, state: State) -> dict[str, float | str]:
        """What a run's record says of the method beside its counts, for the state of one member."""
        ...


class SingleMethod(ABC):
    """A stepper that is one method, and keeps nothing from step to step unless it says so."""

    memory = 0
    thrift = 0.0
    """Power of its share of the patterns with which the error of a step that is allowed falls: steps on few are cheap,
    and the work for an error at the end is least where the error of a step goes with its cost."""

    @abstractmethod
    def step(self, system: Any, state: State) -> Trial:
        """See ``Stepper.step``."""

    def begin(self, system: System, state: State) -> State:
        """Leave the step to the controller."""
        return state

    def report(self, state: State) -> dict[str, float | str]:
        """Nothing: there was no choice."""
        return {}


SHARE = 0.02
"""How much of the way gone before counts for the error of a step. Late in a run steps move little, and errors die out:
measured, 0.02 leaves the error at the end as it is and saves a third of the work where features are learnt."""


def norm(vectors: Tensor) -> Tensor:
    """Length of each row, (M, D) → (M,), in float64: its square must not underflow in single precision."""
    return torch.linalg.vector_norm(vectors, dim=1).double()


def relative_error(state: State, trial_y: Tensor, e_y: Tensor, outputs: Tensor, e_outputs: Tensor) -> Tensor:
    """Error of a step over what it may be at a tolerance of 1, in y and in the outputs, whichever is larger: (M,).

    That is the change that the step makes, an error per unit step whose unit is the path itself, and ``SHARE`` of the
    way gone before. Neither needs a scale of y or t. A step that changes nothing has no error; NaN is infinite.
    """
    pairs = [(e_y, trial_y - state.y), (e_outputs, outputs - state.outputs)]
    ratios = []
    for index, (error, change) in enumerate(pairs):
        e = norm(error)
        ratios.append(torch.where(e == 0, e, e / (norm(change) + SHARE * state.way[:, index])))
    return torch.maximum(*ratios).nan_to_num(nan=torch.inf)


class Controller(Protocol):
    """Decides from errors and steps, now and before; it never sees a network."""

    def decide(self, trial: Trial, state: State) -> tuple[Tensor, Tensor]:
        """Which steps are accepted, (M,) bool, and the next steps to try, (M,), when a trial started from a state."""
        ...
