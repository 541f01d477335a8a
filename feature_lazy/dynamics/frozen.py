"""The flow under a frozen kernel (App. A, eqs. 25–28), in the P unknowns a = −∫ ∂ℓ/∂F ds/P."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import without_force
from feature_lazy.dynamics.system import Flops

POWER_ITERATIONS = 12


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
        bend: "Bend | None" = None,
        decay: float = 0.0,
    ) -> None:
        """Freeze a kernel.

        Args:
            theta: Θ on the training set, (M, P, P).
            outputs: F₀ at a = 0, (M, P).
            push: b(F) of some members, (M, P) and (M,) → (M, P).
            bend: what the outputs do beyond F₀ + Θa.
            decay: λ.
        """
        self.theta, self.outputs0, self.push, self.bend, self.decay = theta, outputs, push, bend, decay
        self.flops = Flops(evaluate=2.0 * outputs.shape[1] ** 2, outputs=2.0 * outputs.shape[1] ** 2)
        self._rows = torch.arange(len(theta), device=theta.device)
        self._now = (theta, outputs, bend)

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        if len(member) != len(self._rows) or not torch.equal(member, self._rows):
            # Kernels are large: they are gathered when members leave, and not at every evaluation.
            bend = None if self.bend is None else self.bend.select(member)
            self._rows, self._now = member, (self.theta[member], self.outputs0[member], bend)
        theta, outputs0, bend = self._now
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
