"""The linearised network, which is the flow under a frozen kernel (App. A, eqs. 25–28)."""

import copy

import torch
from torch import Tensor

from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import LossForce
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import around_minimum, without_force
from feature_lazy.dynamics.system import Flops
from feature_lazy.kernels.first_order import FirstOrder, first_order
from feature_lazy.networks.outputs import places


class LinearisedFlow:
    """ẇ = −∇𝓛 with F = F₀ + αJ(w − w₀), where J is the network's Jacobian at some fixed weights; F₀ = 0 if centred.

    In function space this is dF/dt = −(1/P)Θ ∂ℓ/∂F with Θ = JJᵀ. It needs products with J and Jᵀ, and Θ
    itself only for a method that asks for it: without, it is followed where (P·C)² numbers do not fit.
    """

    def __init__(self, flow: NetworkFlow, w0: Tensor, w_frozen: Tensor) -> None:
        """Freeze the Jacobian.

        Args:
            flow: the network's flow: data, loss, α.
            w0: initial weights of each member, (M, N).
            w_frozen: where J is taken, (M, N).
        """
        self.flow, self.w0, self.penalty = flow, w0, flow.penalty
        plain = flow.centred and flow.offset is None
        self.outputs0 = None if plain else flow.alpha[:, None] * (flow.initial - flow.f0)
        self.theta: Tensor | None = None
        params = flow.architecture.layout.unflatten(w_frozen)
        self.linear = first_order(flow.architecture, params, flow.x, flow.memory_limit)

    @property
    def alpha(self) -> Tensor:
        """α of each member of the batch, (M,)."""
        return self.flow.alpha

    @property
    def flops(self) -> Flops:
        """A product with J and one with Jᵀ for the velocity; the factors are there, and Θ after its first use."""
        own = self.flow.flops
        kernel = own.kernel if self.theta is None else 0.0
        return Flops(
            2 * own.pull_back,
            own.pull_back,
            linearise=own.pull_back if own.linearise else 0.0,
            kernel=kernel,
            pull_back=own.pull_back,
        )

    @property
    def kernel_fits(self) -> bool:
        return self.flow.kernel_fits

    @property
    def n_outputs(self) -> int:
        return self.flow.n_outputs

    @property
    def stiffness(self) -> float:
        return self.flow.stiffness

    def laziness(self, member: Tensor) -> Tensor:
        """See ``TangentSystem.laziness``: its kernel does stay."""
        return torch.full_like(member, torch.inf, dtype=torch.float64)

    def weights(self, y: Tensor) -> Tensor:
        return y

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (M, P·C)."""
        moved = self._jacobian(member).push_forward(y - self.w0[member]) * self.flow.alpha[member, None]
        return moved if self.outputs0 is None else self.outputs0[member] + moved

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """−∇𝓛 (M, N) and F on the training set (M, P·C) at weights y (M, N)."""
        outputs = self.outputs(y, member)
        push = self.force(member).push(outputs) / self.flow.alpha[member, None]
        velocity = self._jacobian(member).pull_back(push)
        return velocity if self.penalty is None else velocity + self.penalty.pull(y, member), outputs

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``."""
        return without_force(self.evaluate, state) | around_minimum(self.evaluate, state, self.flow.over)

    def force(self, member: Tensor) -> LossForce:
        return self.flow.force(member)

    def linearise(self, y: Tensor, member: Tensor) -> "FrozenTangent":
        return FrozenTangent(self, self.outputs(y, member), member)

    def restricted(self, member: Tensor, patterns: Tensor) -> "LinearisedFlow":
        part = copy.copy(self)
        part.flow, part.w0 = self.flow.restricted(member, patterns), self.w0[member]
        part.penalty = part.flow.penalty
        if self.outputs0 is not None:
            part.outputs0 = self.outputs0[member].gather(1, places(patterns, self.n_outputs))
        part.linear, part.theta = self._jacobian(member).on(patterns), None
        if self.theta is not None:
            chosen = places(patterns, self.n_outputs)
            rows = self.theta[member].gather(1, chosen[:, :, None].expand(-1, -1, self.theta.shape[2]))
            part.theta = rows.gather(2, chosen[:, None, :].expand(-1, chosen.shape[1], -1))
        return part

    def kernel(self, member: Tensor) -> Tensor:
        """Θ = JJᵀ, computed once for all members and kept: (M, P·C, P·C)."""
        if self.theta is None:
            self.theta = self.linear.kernel(self.flow.memory_limit)
        return self.theta[member]

    def rate(self) -> Tensor:
        """How fast F begins to move, ‖dF/dt‖ over √P at w₀: (M,) float64."""
        member = torch.arange(len(self.w0), device=self.w0.device)
        velocity, outputs = self.evaluate(self.w0, member)
        moved = self.linear.push_forward(velocity) * self.flow.alpha[:, None]
        return torch.linalg.vector_norm(moved, dim=1).double() / outputs.shape[1] ** 0.5

    def _jacobian(self, member: Tensor) -> FirstOrder:
        return self.linear if len(member) == len(self.w0) else self.linear.select(member)


class FrozenTangent:
    """See ``Tangent``; the same everywhere but for its outputs."""

    def __init__(self, system: LinearisedFlow, outputs: Tensor, member: Tensor) -> None:
        """The state of some members (M,), with outputs (M, P)."""
        self.system, self.outputs, self.member = system, outputs, member

    def kernel(self) -> Tensor:
        return self.system.kernel(self.member)

    def pull_back(self, a: Tensor) -> Tensor:
        alpha = self.system.alpha[self.member, None]
        return self.system.linear.select(self.member).pull_back(a / alpha)

    def push_forward(self, v: Tensor) -> Tensor:
        return self.system.alpha[self.member, None] * self.system.linear.select(self.member).push_forward(v)

    def select(self, rows: Tensor) -> "FrozenTangent":
        return FrozenTangent(self.system, self.outputs[rows], self.member[rows])
