"""Stabilised Runge–Kutta–Chebyshev of second order (Sommeijer, Shampine and Verwer, J. Comput. Appl. Math. 88, 1998).

With s stages it is stable up to dt·ρ ≈ 0.65 s², where ρ is the spectral radius of the Jacobian, so that a stiff flow
costs √(dt·ρ) evaluations a step and not dt·ρ.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from feature_lazy.dynamics.dense import Hermite
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial, norm, relative_error
from feature_lazy.dynamics.system import System

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
def coefficients(s: int) -> Tensor:
    """Rows (ahead, behind, μ̃, γ̃) of the method with s ≥ 2 stages, columns j = 0 … s (eqs. 2.3–2.9 of the paper).

    Y_j = (1 − ahead − behind)·Y₀ + ahead·Y_{j−1} + behind·Y_{j−2} + μ̃·dt·f(Y_{j−1}) + γ̃·dt·f(Y₀).
    """
    w0 = 1 + EPSILON / s**2
    t, dt, ddt = [1.0, w0], [0.0, 1.0], [0.0, 0.0]
    for _ in range(2, s + 1):
        t.append(2 * w0 * t[-1] - t[-2])
        ddt.append(4 * dt[-1] + 2 * w0 * ddt[-1] - ddt[-2])
        dt.append(2 * t[-2] + 2 * w0 * dt[-1] - dt[-2])
    w1 = dt[s] / ddt[s]
    b = [0.0, 0.0, *(ddt[j] / dt[j] ** 2 for j in range(2, s + 1))]
    b[0] = b[1] = b[2]
    table = torch.zeros(4, s + 1, dtype=torch.float64)
    table[2, 1] = b[1] * w1
    for j in range(2, s + 1):
        mu = 2 * b[j] * w1 / b[j - 1]
        gamma = -(1 - b[j - 1] * t[j - 1]) * mu
        table[:, j] = torch.tensor([2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], mu, gamma], dtype=torch.float64)
    return table


@lru_cache(maxsize=256)
def together(stages: tuple[int, ...]) -> Tensor:
    """``coefficients`` of M members of their own numbers of stages, below rows 1 − ahead − behind: (5, s + 1, M, 1)."""
    last = max(stages)
    padded = torch.stack([torch.nn.functional.pad(coefficients(s), (0, last - s)) for s in stages], dim=2)
    return torch.cat([1 - padded[:1] - padded[1:2], padded])[..., None]


def stages(radius_dt: Tensor) -> Tensor:
    """Stages that make dt·ρ stable, at least 2: dt·ρ ≤ (2/3)(s² − 1)(1 − 2ε/15)."""
    return (1 + 1.5 * radius_dt / (1 - 2 * EPSILON / 15)).sqrt().ceil().clamp(min=2)


def recursion(system: System, member: Tensor, y: Tensor, velocity: Tensor, dt: Tensor, s: Tensor) -> Tensor:
    """Y_s of the paper's eq. 2.3 from Y₀ = y (M, D), where the velocity is known, each member with its own s (M,)."""
    each = s.tolist()
    step = dt.to(y.dtype)[:, None]
    still, ahead, behind, mu, gamma = together(tuple(each)).to(y)
    rows = zip(still, ahead, behind, (mu * step).unbind(), (gamma * step).unbind(), strict=True)
    next(rows)
    _, _, _, first, _ = next(rows)
    before, now = y, torch.addcmul(y, first, velocity)
    for j, (still_j, ahead_j, behind_j, mu_j, gamma_j) in enumerate(rows, 2):
        k, _ = system.evaluate(now, member)
        new = (still_j * y).addcmul_(gamma_j, velocity)
        new.addcmul_(ahead_j, now).addcmul_(behind_j, before).addcmul_(mu_j, k)
        before, now = now, new if j <= min(each) else torch.where((s >= j)[:, None], new, now)
    return now


def own_error(y: Tensor, new: Tensor, dt: Tensor, velocity: Tensor, new_velocity: Tensor) -> Tensor:
    """The error of a step from y to another (M, D), estimated by the paper's eq. 2.16."""
    return 0.8 * (y - new) + 0.4 * dt.to(y.dtype)[:, None] * (velocity + new_velocity)


@dataclass(frozen=True)
class Chebyshev2(SingleMethod):
    """RKC of second order; the spectral radius comes from a power iteration that is used for several steps.

    Attributes:
        tolerance: bound on the error of a step over the change that it makes, in y and in the outputs.
        radius: spectral radius of each member of the batch, (M,), where a bound is known; else it is estimated.
    """

    tolerance: float
    radius: Tensor | None = None
    memory = 2

    def step(self, system: System, state: State) -> Trial:
        """See ``Stepper.step``; every member takes the stages that it needs itself."""
        radius, age, power_gradients = self._radius(system, state)
        wanted = stages(radius * state.dt)
        # A step that asks for too many stages is cut to those that are allowed, and is then rejected.
        excess = (wanted / MAX_STAGES) ** 2
        s = wanted.clamp(max=MAX_STAGES).long()
        y = recursion(system, state.member, state.y, state.velocity, state.dt, s)
        velocity, outputs = system.evaluate(y, state.member)
        error = own_error(state.y, y, state.dt, state.velocity, velocity)
        outputs_error = outputs - system.outputs(y - error, state.member)
        ratio = relative_error(state, y, error, outputs, outputs_error) / self.tolerance
        ratio = torch.where(excess > 1, excess, ratio)
        # A rejection may come from an estimate that is too small: make a new one.
        age = torch.where(ratio < 1, age + 1, torch.inf)
        gradients = s + power_gradients
        return Trial(
            y,
            velocity,
            outputs,
            ratio,
            torch.full_like(ratio, 2.0),
            Hermite(system, state, y, velocity),
            gradients=gradients,
            kernels=torch.zeros_like(state.kernels),
            flops=gradients * system.flops.evaluate + system.flops.outputs,
            calls=gradients + 1.0,
            memory=torch.stack([radius, age], dim=1),
        )

    def _radius(self, system: System, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """Spectral radius of each member (M,), steps since its estimate, and what the estimate cost in gradients.

        A power iteration on differences of the velocity, which starts from the velocity itself: the paper starts from
        the last eigenvector, which would be one more vector of state.
        """
        radius, age = state.memory[:, RADIUS], state.memory[:, AGE]
        nothing = torch.zeros_like(state.gradients)
        if self.radius is not None:
            return self.radius[state.member], age, nothing
        old = (age >= REFRESH) | (radius == 0)
        if not old.any():
            return radius, age, nothing
        rows = old.nonzero()[:, 0]
        y, velocity, member = state.y[rows], state.velocity[rows], state.member[rows]
        direction, estimate = velocity, radius[rows]
        size = torch.finfo(y.dtype).eps ** 0.5 * norm(y).clamp(min=1e-8)
        for _ in range(POWER_ITERATIONS):
            length = (size / norm(direction).clamp(min=1e-300)).to(y.dtype)[:, None]
            moved, _ = system.evaluate(torch.addcmul(y, length, direction), member)
            direction = moved - velocity
            estimate = SAFETY * norm(direction) / size
        radius = radius.index_copy(0, rows, estimate.clamp(min=1e-300))
        return radius, torch.where(old, 0.0, age), POWER_ITERATIONS * old.long()
