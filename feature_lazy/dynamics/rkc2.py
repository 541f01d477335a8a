"""Stabilised Runge–Kutta–Chebyshev of second order (Sommeijer, Shampine and Verwer, J. Comput. Appl. Math. 88, 1998).

With s stages it is stable up to dt·ρ ≈ 0.65 s², where ρ is the spectral radius of the Jacobian, so that a stiff flow
costs √(dt·ρ) evaluations a step and not dt·ρ.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from feature_lazy.dynamics.dense import Hermite
from feature_lazy.dynamics.flow import System
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Trial, norm, relative_error

EPSILON = 2 / 13
"""Damping, as in the paper."""
RADIUS, AGE = 0, 1
"""Columns of the memory: the spectral radius, and the steps since it was estimated."""
REFRESH = 20
"""Accepted steps for which an estimate of the spectral radius is used, as in the paper's code (25)."""
POWER_ITERATIONS = 6
SAFETY = 1.2
"""The power iteration approaches the spectral radius from below."""
MAX_STAGES = 250


@cache
def coefficients(s: int) -> tuple[list[float], list[float], list[float], list[float], list[float]]:
    """b, a, μ̃, γ̃ and c of the method with s ≥ 2 stages, by index 0 … s (eqs. 2.3–2.9 of the paper)."""
    w0 = 1 + EPSILON / s**2
    t, dt, ddt = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, s + 1):
        t.append(2 * w0 * t[-1] - t[-2])
        dt.append(2 * t[-2] + 2 * w0 * dt[-1] - dt[-2])
        ddt.append(4 * dt[-2] + 2 * w0 * ddt[-1] - ddt[-2])
    w1 = dt[s] / ddt[s]
    b = [0.0, 0.0, *(ddt[j] / dt[j] ** 2 for j in range(2, s + 1))]
    b[0] = b[1] = b[2]
    a = [1 - b[j] * t[j] for j in range(s + 1)]
    mu = [0.0, b[1] * w1, *(2 * b[j] * w1 / b[j - 1] for j in range(2, s + 1))]
    gamma = [0.0, 0.0, *(-a[j - 1] * mu[j] for j in range(2, s + 1))]
    c = [0.0, 0.0, *(w1 * ddt[j] / dt[j] for j in range(2, s + 1))]
    c[1] = c[2] / dt[2]
    return b, a, mu, gamma, c


def stages(radius_dt: float) -> int:
    """Stages that make dt·ρ stable: dt·ρ ≤ (2/3)(s² − 1)(1 − 2ε/15)."""
    return max(2, math.ceil(math.sqrt(1 + 1.5 * radius_dt / (1 - 2 * EPSILON / 15))))


@dataclass(frozen=True)
class Chebyshev2:
    """RKC of second order; the spectral radius comes from a power iteration that is used for several steps.

    Attributes:
        tolerance: bound on the error of a step over the change that it makes, in y and in the outputs.
        radius: spectral radius of each member of the batch, (M,), where a bound is known; else it is estimated.
    """

    tolerance: float
    radius: Tensor | None = None
    memory = 2

    def begin(self, system: System, state: State) -> State:
        """Leave the step to the controller."""
        return state

    def step(self, system: System, state: State) -> Trial:
        """See ``Stepper.step``; all members take the stages that the stiffest of them needs."""
        radius, age, power_gradients = self._radius(system, state)
        s = stages(float((radius * state.dt).max()))
        if s > MAX_STAGES:
            return self._too_stiff(system, state, radius)
        y = self._stages(system, state, s)
        velocity, outputs = system.evaluate(y, state.member)
        dt = state.dt.to(y.dtype)[:, None]
        error = 0.8 * (state.y - y) + 0.4 * dt * (state.velocity + velocity)
        outputs_error = outputs - system.outputs(y - error, state.member)
        ratio = relative_error(error, y - state.y, outputs_error, outputs - state.outputs)
        gradients = s + power_gradients
        # A rejection may come from an estimate that is too small: make a new one.
        age = torch.where(ratio < self.tolerance, age + 1, torch.inf)
        return Trial(
            y,
            velocity,
            outputs,
            ratio / self.tolerance,
            torch.full_like(ratio, 2.0),
            Hermite(system, state, y, velocity),
            gradients=torch.full_like(state.gradients, gradients),
            kernels=torch.zeros_like(state.kernels),
            flops=torch.full_like(state.flops, gradients * system.flops.evaluate + system.flops.outputs),
            memory=torch.stack([radius, age], dim=1),
        )

    def _stages(self, system: System, state: State, s: int) -> Tensor:
        """The recursion of the paper's eq. 2.3 from Y₀ = y to Y_s."""
        b, a, mu, gamma, _ = coefficients(s)
        dt = state.dt.to(state.y.dtype)[:, None]
        w0 = 1 + EPSILON / s**2
        before, now = state.y, torch.addcmul(state.y, mu[1] * dt, state.velocity)
        for j in range(2, s + 1):
            k, _ = system.evaluate(now, state.member)
            ahead, behind = 2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2]
            new = (1 - ahead - behind) * state.y + ahead * now + behind * before
            new.addcmul_(mu[j] * dt, k).addcmul_(gamma[j] * dt, state.velocity)
            before, now = now, new
        return now

    def _radius(self, system: System, state: State) -> tuple[Tensor, Tensor, int]:
        """Spectral radius of each member (E,), steps since its estimate, and what the estimate cost in gradients.

        All members are estimated when one of them must be. A power iteration on differences of the velocity, which
        starts from the velocity itself: the paper starts from the last eigenvector, which would be another state.
        """
        radius, age = state.memory[:, RADIUS], state.memory[:, AGE]
        if self.radius is not None:
            return self.radius[state.member], age, 0
        if not bool(((age >= REFRESH) | (radius == 0)).any()):
            return radius, age, 0
        direction = state.velocity
        size = torch.finfo(state.y.dtype).eps ** 0.5 * norm(state.y).clamp(min=1e-8)
        for _ in range(POWER_ITERATIONS):
            length = (size / norm(direction).clamp(min=1e-300)).to(state.y.dtype)[:, None]
            moved, _ = system.evaluate(torch.addcmul(state.y, length, direction), state.member)
            direction = moved - state.velocity
            radius = SAFETY * norm(direction) / size
        return radius, torch.zeros_like(age), POWER_ITERATIONS

    def _too_stiff(self, system: System, state: State, radius: Tensor) -> Trial:
        """A step that asks for too many stages: rejected, with the factor by which dt must shrink."""
        error = (radius * state.dt / (0.6 * MAX_STAGES**2)).clamp(min=1.01)
        return Trial(
            state.y,
            state.velocity,
            state.outputs,
            error,
            torch.ones_like(error),
            Hermite(system, state, state.y, state.velocity),
            gradients=torch.zeros_like(state.gradients),
            kernels=torch.zeros_like(state.kernels),
            flops=torch.zeros_like(state.flops),
            memory=state.memory,
        )
