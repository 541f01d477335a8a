"""The flow under a frozen kernel (App. A, eqs. 25–28), in the P unknowns a = −∫ ∂ℓ/∂F ds/P."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import without_force
from feature_lazy.dynamics.system import Flops, Force

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
        force: Callable[[Tensor], Force],
        decay: float = 0.0,
    ) -> None:
        """Freeze a kernel.

        Args:
            theta: Θ on the training set, (M, P, P).
            outputs: F₀ at a = 0, (M, P).
            force: what gives b(F) of some members, (M,).
            decay: λ.
        """
        self.theta, self.outputs0, self.force, self.decay = theta, outputs, force, decay
        self.bend: Bend | None = None
        self._known: tuple[Tensor, Tensor, Tensor] | None = None
        self.flops = Flops(evaluate=2.0 * outputs.shape[1] ** 2, outputs=2.0 * outputs.shape[1] ** 2)
        self._rows = torch.arange(len(theta), device=theta.device)
        self._now: tuple[Tensor, Tensor, Force, Bend | None] = (theta, outputs, force(self._rows), None)

    def bent(self, bend: "Bend") -> "FrozenKernelFlow":
        """The same flow with outputs that bend, for all members; what is known of its rates is shared."""
        other = copy.copy(self)
        other.bend = bend
        other._rows = torch.arange(len(self.theta), device=self.theta.device)
        other._now = self.theta, self.outputs0, self.force(other._rows), bend
        return other

    def _of(self, member: Tensor) -> tuple[Tensor, Tensor, Force, "Bend | None"]:
        """What there is of some members. Kernels are large: they are gathered only when members leave."""
        if member is not self._rows and not torch.equal(member, self._rows):
            bend = None if self.bend is None else self.bend.select(member)
            self._now = self.theta[member], self.outputs0[member], self.force(member), bend
        self._rows = member
        return self._now

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        theta, outputs0, _, bend = self._of(member)
        # aᵀΘ and not Θa, which are the same: PyTorch's batched product with a column is five times slower on a CPU.
        outputs = torch.baddbmm(outputs0[:, None, :], y[:, None, :], theta)[:, 0]
        return outputs if bend is None else bend.added_to(outputs, y)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.outputs(y, member)
        push = self._now[2].push(outputs)
        return torch.sub(push, y, alpha=self.decay) if self.decay else push, outputs

    def radius(self) -> Tensor:
        """Largest eigenvalue of Θ for each member, from below: (M,)."""
        return largest_eigenvalue(self.theta)

    def rate(self, outputs: Tensor, member: Tensor) -> Tensor:
        """Bound on the rates of the flow at outputs (M, P), (M,): ρ(Θ·diag(c)) + λ.

        It is at most λ_max(Θ)·max c and, where no entry of Θ is negative, max_μ (Θcv)_μ/v_μ for every v > 0 (Collatz
        and Wielandt). v is what Θcv was the last time: a power iteration that goes on with the flow.
        """
        theta, _, force, _ = self._of(member)
        c = force.curvatures(outputs)
        block = slice(c.shape[1])
        if self._known is None:
            own = self.theta[:, block, block]
            self._known = largest_eigenvalue(own), own.amin((1, 2)) >= 0, torch.ones_like(own[:, 0])
        largest, positive, vector = self._known
        bound = largest[member] * c.amax(1)
        if positive.any():
            v = vector[member]
            product = torch.bmm((c * v)[:, None], theta[:, block, block])[:, 0]
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
