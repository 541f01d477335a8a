"""The flow under a frozen kernel (App. A, eqs. 25–28), in the P unknowns a = −∫ ∂ℓ/∂F ds/P."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import without_force
from feature_lazy.dynamics.system import Flops

POWER_ITERATIONS = 12
SAFETY = 1.2
"""Over a bound on rates: the power iteration comes from below, and curvatures change within a step."""
SMALLEST = 1e-6
"""Entry of the vector of ``FrozenKernelFlow.rate`` at least, over its largest: all must be positive."""


class FrozenKernelFlow:
    """ȧ = b(F), F = F₀ + Θa + (u·a)²·r + (u·a)³·s, with b = −∂ℓ/∂F/P: the state is a, P numbers.

    Without r and s this is dF/dt = −(1/P)Θ ∂ℓ/∂F, the flow of a linear model. u·a says how far a step has come along
    some direction, so r and s are what the network does beyond its linearisation, to third order. Under a
    penalty a decays while it grows, ȧ = b(F) − λa.
    """

    def __init__(
        self,
        theta: Tensor,
        outputs: Tensor,
        push: Callable[[Tensor, Tensor], Tensor],
        curvatures: Callable[[Tensor, Tensor], Tensor] | None = None,
        decay: float = 0.0,
    ) -> None:
        """Freeze a kernel.

        Args:
            theta: Θ on the training set, (M, P, P).
            outputs: F₀ at a = 0, (M, P).
            push: b(F) of some members, (M, P) and (M,) → (M, P).
            curvatures: c(F) of the first n outputs, with ∂²ℓ/∂F²/P below diag(c), (M, P) and (M,) → (M, n); for rates.
            decay: λ.
        """
        self.theta, self.outputs0, self.push, self.curvatures, self.decay = theta, outputs, push, curvatures, decay
        self.bend: Bend | None = None
        self._known: tuple[Tensor, Tensor, Tensor] | None = None
        self.flops = Flops(evaluate=2.0 * outputs.shape[1] ** 2, outputs=2.0 * outputs.shape[1] ** 2)
        self._rows = torch.arange(len(theta), device=theta.device)
        self._now: tuple[Tensor, Tensor, Bend | None] = (theta, outputs, None)

    def bent(self, bend: "Bend") -> "FrozenKernelFlow":
        """The same flow with outputs that bend, for all members; what is known of its rates is shared."""
        other = copy.copy(self)
        other.bend = bend
        other._rows, other._now = torch.arange(len(self.theta), device=self.theta.device), (self.theta, self.outputs0, bend)
        return other

    def _of(self, member: Tensor) -> tuple[Tensor, Tensor, "Bend | None"]:
        """Θ, F₀ and the bend of some members. Kernels are large: they are gathered only when members leave."""
        if len(member) != len(self._rows) or not torch.equal(member, self._rows):
            bend = None if self.bend is None else self.bend.select(member)
            self._rows, self._now = member, (self.theta[member], self.outputs0[member], bend)
        return self._now

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        theta, outputs0, bend = self._of(member)
        # aᵀΘ and not Θa, which are the same: PyTorch's batched product with a column is five times slower on a CPU.
        outputs = torch.baddbmm(outputs0[:, None, :], y[:, None, :], theta)[:, 0]
        return outputs if bend is None else bend.added_to(outputs, y)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.outputs(y, member)
        return self._decaying(self.push(outputs, member), y), outputs

    def _decaying(self, push: Tensor, a: Tensor) -> Tensor:
        return torch.sub(push, a, alpha=self.decay) if self.decay else push

    def velocities(self, a: Tensor, member: int) -> Tensor:
        """Velocities ȧ of one member at many states a (n, P): (n, P)."""
        outputs = self.outputs0[member] + a @ self.theta[member]
        if self.bend is not None:
            outputs = self.bend.select(self._rows.new_tensor([member])).added_to(outputs, a)
        return self._decaying(self.push(outputs, self._rows.new_full((len(a),), member)), a)

    def radius(self) -> Tensor:
        """Largest eigenvalue of Θ for each member, from below: (M,)."""
        return largest_eigenvalue(self.theta)

    def rate(self, state: State) -> Tensor:
        """Bound on the rates of the flow at a state, (M,): ρ(Θ·diag(c)) + λ.

        It is at most λ_max(Θ)·max c and, where no entry of Θ is negative, max_μ (Θcv)_μ/v_μ for every v > 0 (Collatz
        and Wielandt). v is what Θcv was at the state before: a power iteration that goes on with the flow.
        """
        assert self.curvatures is not None
        member, c = state.member, self.curvatures(state.outputs, state.member)
        block = slice(c.shape[1])
        if self._known is None:
            own = self.theta[:, block, block]
            self._known = largest_eigenvalue(own), own.amin((1, 2)) >= 0, torch.ones_like(own[:, 0])
        largest, positive, vector = self._known
        bound = largest[member] * c.amax(1)
        if positive.any():
            v = vector[member]
            product = torch.bmm((c * v)[:, None], self._of(member)[0][:, block, block])[:, 0]
            bound = torch.where(positive[member], torch.minimum(bound, (product / v).amax(1)), bound)
            # Where c is 0 nothing is left of v, and the next may be any.
            vector[member] = (product / product.amax(1, keepdim=True)).nan_to_num(nan=1.0).clamp(min=SMALLEST)
        return SAFETY * (bound + self.decay)


def largest_eigenvalue(theta: Tensor) -> Tensor:
    """Largest eigenvalue of kernels (M, P, P), from below, by power iteration: (M,)."""
    vector = theta.sum(1, keepdim=True)
    for _ in range(POWER_ITERATIONS):
        vector = torch.bmm(vector / torch.linalg.vector_norm(vector, dim=2, keepdim=True), theta)
    return torch.linalg.vector_norm(vector, dim=2)[:, 0].double()


class SettlingFlow(FrozenKernelFlow):
    """The same where training is to be followed to its end: a may grow for ever while F, by a singular Θ, rests."""

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``: no force on the outputs, Θb."""

        def evaluate(y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
            velocity, outputs = self.evaluate(y, member)
            return torch.bmm(self.theta[member], velocity[:, :, None])[:, :, 0], outputs

        return without_force(evaluate, state, evaluate(state.y, state.member)[0])


@dataclass(frozen=True)
class Bend:
    """What outputs do beyond first order in the way gone: (u·a)²·r + (u·a)³·s.

    Attributes:
        direction: u, (M, P).
        second: r, (M, P).
        third: s, (M, P).
    """

    direction: Tensor
    second: Tensor
    third: Tensor

    @staticmethod
    def through(direction: Tensor, middle: tuple[Tensor, Tensor], end: Tensor) -> "Bend":
        """The bend that is some defect (M, P) at u·a = x (M, 1), and another at u·a = 1."""
        x, defect = middle
        third = (end - defect / x.square()) / (1 - x)
        return Bend(direction, end - third, third)

    def select(self, rows: Tensor) -> "Bend":
        """The same for some members, (M,)."""
        return Bend(self.direction[rows], self.second[rows], self.third[rows])

    def added_to(self, outputs: Tensor, a: Tensor) -> Tensor:
        """F beyond first order, for outputs F to first order and a, (M, P) each."""
        x = along(self.direction, a)
        return torch.addcmul(outputs, x.square(), torch.addcmul(self.second, x, self.third))


def along(direction: Tensor, a: Tensor) -> Tensor:
    """u·a: how far a has come along u, (M, P) each → (M, 1)."""
    return (direction * a).sum(-1, keepdim=True)
