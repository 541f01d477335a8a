"""Gradient flow with inertia: τv̇ = −v − ∇𝓛, ẇ = v (authors' code; Fig. 14)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import without_force
from feature_lazy.dynamics.system import Flops


@dataclass(frozen=True)
class MomentumFlow:
    """The state is (w, τv), 2N numbers: both halves have the units of weights, whatever τ.

    Attributes:
        flow: the network's gradient flow.
        tau: relaxation time τ of each member, (M,), in the article's t.
    """

    flow: NetworkFlow
    tau: Tensor

    @property
    def flops(self) -> Flops:
        """Those of the gradient."""
        return Flops(evaluate=self.flow.flops.evaluate, outputs=self.flow.flops.outputs)

    def at_rest(self, w0: Tensor) -> Tensor:
        """The state with weights w0 (M, N) and no velocity: (M, 2N)."""
        return torch.cat([w0, torch.zeros_like(w0)], dim=1)

    def weights(self, y: Tensor) -> Tensor:
        return y.chunk(2, dim=1)[0]

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (M, P)."""
        return self.flow.outputs(self.weights(y), member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """(v, −v − ∇𝓛) (M, 2N) and F on the training set (M, P)."""
        w, momentum = y.chunk(2, dim=1)
        minus_gradient, outputs = self.flow.evaluate(w.contiguous(), member)
        v = momentum / self.tau[member, None]
        return torch.cat([v, minus_gradient - v], dim=1), outputs

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``."""
        return without_force(self.evaluate, state)


def relaxation_time(c: float, kappa: float, sqrt_h_alpha: Tensor) -> Tensor:
    """τ = c·min(√h·α, κ), in the article's t (Fig. 14)."""
    return c * sqrt_h_alpha.clamp(max=kappa)
