"""The article's discretisation: explicit Euler under eqs. 8–9, with the authors' controller."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.dense import Hermite
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial, norm
from feature_lazy.dynamics.system import System


@dataclass(frozen=True)
class ArticleEuler(SingleMethod):
    """Euler, with an error that is below 1 where eqs. 8–9 hold.

    Eq. 8: ‖∇𝓛ᵢ₊₁ − ∇𝓛ᵢ‖²/(‖∇𝓛ᵢ₊₁‖‖∇𝓛ᵢ‖) < ε_∇. Eq. 9: max_μ |Fᵢ₊₁ − Fᵢ| < ε_F.

    Attributes:
        eps_gradient: ε_∇, 1e-4 in the article.
        eps_output: ε_F, 0.1 in the article.
    """

    eps_gradient: float = 1e-4
    eps_output: float = 0.1

    def step(self, system: System, state: State) -> Trial:
        """Try y + dt·ẏ; the velocity at the end both judges this step and makes the next one."""
        y = torch.addcmul(state.y, state.dt.to(state.y.dtype)[:, None], state.velocity)
        velocity, outputs = system.evaluate(y, state.member)
        change = norm(velocity - state.velocity) ** 2
        # A velocity that did not change at all, zero included, is no error; 0/0 is not.
        relative = torch.where(change == 0, change, change / (norm(velocity) * norm(state.velocity)))
        jump = (outputs - state.outputs).abs().amax(1).double()
        error = torch.maximum(relative / self.eps_gradient, jump / self.eps_output)
        # Eq. 8 is quadratic in dt and eq. 9 linear: the exponent is that of the one that binds.
        order = torch.where(relative / self.eps_gradient >= jump / self.eps_output, 2.0, 1.0).double()
        return Trial(
            y,
            velocity,
            outputs,
            error.nan_to_num(nan=torch.inf),
            order,
            Hermite(system, state, y, velocity),
            gradients=torch.ones_like(state.gradients),
            kernels=torch.zeros_like(state.kernels),
            flops=torch.full_like(state.flops, system.flops.evaluate),
            calls=torch.ones_like(state.flops),
            memory=state.memory,
        )


@dataclass(frozen=True)
class ArticleController:
    """The authors' rule: accepted with both bounds half used → dt × 1.1; rejected → dt / 10, from the same state."""

    grow: float = 1.1
    shrink: float = 0.1
    grow_below: float = 0.5

    def decide(self, trial: Trial, state: State) -> tuple[Tensor, Tensor]:
        """See ``Controller.decide``; the authors do not look at what came before."""
        accepted = trial.error < 1
        # Filled in float64: torch.where of two numbers gives float32, in which 1.1 and 0.1 are others.
        factor = torch.full_like(trial.error, self.shrink).masked_fill(accepted, 1.0)
        return accepted, state.dt * factor.masked_fill(trial.error < self.grow_below, self.grow)
