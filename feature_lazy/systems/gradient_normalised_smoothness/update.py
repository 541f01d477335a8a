"""Steps of Newton's method with an approximate Hessian, in dual form: with P·C × P·C matrices in place of N × N.

H = JᵀBJ/P, with B = ∂²ℓ/∂F² of each pattern for the Gauss–Newton matrix and ℓ′ℓ′ᵀ for the empirical Fisher matrix, and
∇𝓛 = Jᵀℓ′/(αP). From (JᵀBJ/P + λ)⁻¹Jᵀ = Jᵀ(BΘ/P + λ)⁻¹, Θ = JJᵀ, a step is −Jᵀ(BΘ/P + λ)⁻¹ℓ′/(αP). Θ is made once for
all trials of a step. The Hessian has no such form, and is met in products alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.choices import Training
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import without_force
from feature_lazy.dynamics.step import SingleMethod, Trial, norm
from feature_lazy.dynamics.system import Flops
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.kernels.shifted import shifted_solve
from feature_lazy.settings.checks import check_option
from feature_lazy.systems.gradient_normalised_smoothness.parts import COLUMNS, FISHER, GGN, HESSIAN, NONE

if TYPE_CHECKING:
    from feature_lazy.systems.gradient_normalised_smoothness.option import GradientNormalised

MOST = 40
"""Trials of a step."""
KRYLOV, RESIDUAL = 1000, 1e-10
"""Products with the Hessian in a trial at most, and what is left of the equation's right side."""

Direction = Callable[[Tensor, Tensor], Tensor]
"""(H + λ)⁻¹∇𝓛 of some rows (k,) for λ (k,): (k, N); NaN where H + λ is not positive definite."""


@dataclass(frozen=True)
class GradientNormalisedTraining:
    """A network trained by steps of Newton's method: what the integrator sees as a system.

    A state is the weights, and behind them γ, λ and ‖Δw‖ of the step that led there, and its trials: ``COLUMNS``.

    Attributes:
        flow: the network's gradient flow, for outputs and gradients.
        curvature: what stands for the Hessian.
    """

    flow: NetworkFlow
    curvature: str

    @property
    def flops(self) -> Flops:
        """Those of the whole training set."""
        return self.flow.flops

    def weights(self, y: Tensor) -> Tensor:
        """See ``WeightSystem.weights``."""
        return y[:, : -len(COLUMNS)]

    def told(self, y: Tensor) -> dict[str, Tensor]:
        """See ``Telling.told``."""
        return dict(zip(COLUMNS, y[:, -len(COLUMNS) :].unbind(1), strict=True))

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """See ``System.outputs``."""
        return self.flow.outputs(self.weights(y), member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """−∇𝓛, and 0 for what is not weights, (M, N + 4); and F on the training set (M, P·C)."""
        velocity, outputs = self.flow.evaluate(self.weights(y), member)
        return torch.cat([velocity, velocity.new_zeros(len(y), len(COLUMNS))], dim=1), outputs

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``."""
        return without_force(self.evaluate, state)

    def losses(self, outputs: Tensor, member: Tensor) -> Tensor:
        """𝓛 (M,) of float64 at F (M, P·C)."""
        flow = self.flow
        return flow.loss(outputs, flow.labels).double().mean(1) / flow.alpha[member].double() ** 2

    def direction(self, y: Tensor, member: Tensor, gradient: Tensor) -> Direction:
        """How a step goes from states y (M, D) with ∇𝓛 (M, N), for any λ."""
        if self.curvature == NONE:
            return lambda rows, shift: gradient[rows] / shift[:, None].to(gradient)
        flow = self.flow
        at = Curvature(
            flow.architecture,
            self.weights(y),
            flow.x,
            flow.labels,
            flow.loss,
            flow.alpha[member],
            flow.f0[member],
            flow.memory_limit,
        )
        if self.curvature == HESSIAN:
            return lambda rows, shift: torch.stack(
                [
                    conjugate_gradients(at.select(row[None]).hessian, gradient[row[None]], float(own))[0]
                    for row, own in zip(rows, shift, strict=True)
                ]
            )
        blocks = at.squares if self.curvature == FISHER else at.curvatures
        theta = at.linear.kernel(flow.memory_limit).unflatten(1, (-1, blocks.shape[-1]))
        matrix = torch.einsum("mpab,mpbq->mpaq", blocks, theta).flatten(1, 2) / flow.n_train
        force = at.pulls / (flow.alpha[member, None] * flow.n_train)

        def dual(rows: Tensor, shift: Tensor) -> Tensor:
            solved = shifted_solve(matrix[rows], shift[:, None].to(matrix), force[rows, :, None])[..., 0]
            return at.linear.select(rows).pull_back(solved)

        return dual


def conjugate_gradients(product: Callable[[Tensor], Tensor], b: Tensor, shift: float) -> Tensor:
    """(A + λ)⁻¹b for b (1, N) by conjugate gradients; NaN where a direction has no positive curvature."""
    x, residual, direction = torch.zeros_like(b), b, b
    for _ in range(min(KRYLOV, 2 * b.shape[1])):
        square = float(residual.square().sum())
        if square**0.5 <= RESIDUAL * float(b.norm()):
            return x
        curved = product(direction) + shift * direction
        curvature = float((direction * curved).sum())
        if not curvature > 0:
            return torch.full_like(b, torch.nan)
        x, residual = x + square / curvature * direction, residual - square / curvature * curved
        direction = residual + float(residual.square().sum()) / square * direction
    return x


@dataclass(frozen=True)
class Jump:
    """The states within a step of time 1: the one before until its end. See ``dynamics.step.Dense``."""

    state: State
    y: Tensor
    F: Tensor

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        return torch.where((theta < 1 - 1e-6)[:, None], self.state.y[rows], self.y[rows])

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        return torch.where((theta < 1 - 1e-6)[:, None], self.state.outputs[rows], self.F[rows])


@dataclass(frozen=True)
class Newton(SingleMethod):
    """A step is tried with smaller and smaller γ until 𝓛 falls by enough; γ of the next one is kept."""

    memory = 1

    def step(self, system: GradientNormalisedTraining, state: State) -> Trial:
        member, w, n = state.member, system.weights(state.y), len(COLUMNS)
        gradient = -state.velocity[:, :-n]
        size, before = norm(gradient), system.losses(state.outputs, member)
        go = system.direction(state.y, member, gradient)
        # Before the first step the state has γ, and the memory nothing.
        gamma = torch.where(state.steps > 0, state.memory[:, 0], system.told(state.y)[COLUMNS[0]].double())
        y, velocity, outputs = state.y.clone(), state.velocity.clone(), state.outputs.clone()
        trials = torch.zeros_like(state.steps)
        pending = torch.arange(len(state), device=w.device)
        for trial in range(1, MOST + 1):
            shift = size[pending] / gamma[pending]
            moved = w[pending] - go(pending, shift)
            minus, seen = system.flow.evaluate(moved, member[pending])
            fallen = before[pending] - system.losses(seen, member[pending])
            accepted = fallen >= norm(minus).square() / (8 * shift)  # not so of NaN
            trials[pending] = trial
            rows, kept = pending[accepted], accepted.nonzero()[:, 0]
            length = norm(moved[kept] - w[rows])
            numbers = torch.stack([gamma[rows], shift[kept], trials[rows].double(), length], dim=1)
            y[rows] = torch.cat([moved[kept], numbers.to(w)], dim=1)
            velocity[rows, :-n], outputs[rows] = minus[kept], seen[kept]
            gamma[pending] *= torch.where(accepted, 2.0, 0.5)
            pending = pending[~accepted]
            if not len(pending):
                break
        failed = torch.zeros_like(size).index_fill(0, pending, 2.0)
        flops, whole = system.flops, 0 if system.curvature in (NONE, HESSIAN) else 1
        return Trial(
            y,
            velocity,
            outputs,
            torch.where(outputs.isfinite().all(1), failed, torch.inf),
            torch.ones_like(size),
            Jump(state, y, outputs),
            gradients=trials,
            kernels=torch.full_like(trials, whole),
            flops=trials * (flops.evaluate + whole * flops.pull_back) + whole * (flops.linearise + flops.kernel),
            calls=trials + 1.0,
            memory=gamma[:, None],
        )


class AcceptFallen:
    """A step of time 1 is taken if one was found; a member without one ends, because no other would be."""

    def decide(self, trial: Trial, state: State) -> tuple[Tensor, Tensor]:
        found = trial.error < 1
        return found, torch.where(found, 1.0, 0.0).to(state.dt)


def prepare(option: GradientNormalised, flow: NetworkFlow, w0: Tensor) -> Training:
    """Make the method ready for members with the initial weights w0 (M, N).

    Raises:
        ConfigError: a kernel that does not fit the memory limit.
    """
    check_option(option, "dynamics")
    if option.curvature in (GGN, FISHER) and not flow.kernel_fits:
        raise ConfigError(
            f"dynamics.curvature={option.curvature}: Θ of {flow.n_train * flow.n_outputs} outputs on training patterns "
            "does not fit memory_limit; use fewer of dataset.n_train, a higher limit, or dynamics.curvature=none."
        )
    one = torch.ones_like(flow.alpha, dtype=torch.float64)
    told = torch.cat([w0.new_full((len(w0), 1), option.gamma), w0.new_zeros(len(w0), len(COLUMNS) - 1)], dim=1)
    system = GradientNormalisedTraining(flow, option.curvature)
    model = NetworkModel(flow.architecture, flow.memory_limit)
    method = Method(Newton(), AcceptFallen())
    return Training(system, method, torch.cat([w0, told], dim=1), one, model, option.updates * one)
