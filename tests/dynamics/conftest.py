"""Small systems, steppers and controllers with known solutions."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import expm

from feature_lazy.dynamics.dense import Hermite
from feature_lazy.dynamics.integrate import Limits, Method, integrate, start
from feature_lazy.dynamics.messages import Finished, Samples
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial
from feature_lazy.dynamics.steppers.article import ArticleEuler
from feature_lazy.dynamics.steppers.rk32 import RungeKutta32
from feature_lazy.dynamics.system import Flops
from feature_lazy.dynamics.times import GivenTimes


class Flow:
    """A system from its velocity; the outputs are the state itself."""

    flops = Flops(evaluate=1.0, outputs=1.0)

    def __init__(self, velocity):
        self.velocity = velocity

    def evaluate(self, y, member):
        return self.velocity(y), self.outputs(y, member)

    def outputs(self, y, member):
        return y.clone()


class Linear(Flow):
    """y' = A y."""

    def __init__(self, matrix):
        self.matrix = torch.tensor(matrix, dtype=torch.float64)
        super().__init__(lambda y: y @ self.matrix.T)

    def exact(self, y0, t):
        """y(t), shape (M, D)."""
        return y0 @ torch.from_numpy(expm(self.matrix.numpy() * float(t))).T


@dataclass(frozen=True)
class ExactStepper(SingleMethod):
    """Steps of a linear system without error, so that only what is read between the steps can be wrong."""

    system: Linear

    def step(self, system, state: State) -> Trial:
        y = torch.cat([self.system.exact(row[None], dt) for row, dt in zip(state.y, state.dt, strict=True)])
        velocity, outputs = system.evaluate(y, state.member)
        exact = {"y": y, "velocity": velocity, "outputs": outputs, "dense": Hermite(system, state, y, velocity)}
        # What a step costs is as for Euler.
        return replace(ArticleEuler().step(system, state), error=torch.zeros_like(state.t), **exact)


class FixedStep:
    """Accepts everything and keeps dt."""

    def decide(self, trial, state):
        return torch.ones_like(trial.error, dtype=torch.bool), state.dt


class Scripted:
    """Accepts or rejects, and stretches dt, as a list says; one member."""

    def __init__(self, script):
        self.script = iter(script)

    def decide(self, trial, state):
        accepted, factor = next(self.script)
        return torch.tensor([accepted]), state.dt * factor


def follow(system, y0, method: Method, *, dt=0.1, times=(), events=(), state=None, **bounds):
    """All samples of member 0 as [(t, y)], and of every member its outcome and final state."""
    members = len(y0)
    step = torch.as_tensor(dt, dtype=torch.float64).expand(members)
    first = start(system, method.stepper, y0, step, len(events)) if state is None else state
    # A test that would never end must fail instead.
    defaults = {"dt_floor": 1e-10, "time_scale": torch.ones(members, dtype=torch.float64), "max_steps": 20_000}
    limits = Limits(**{**defaults, **bounds})
    samples, finished = [], {}
    for event in integrate(system, method, first, [GivenTimes(times)] * members, events, limits):
        if isinstance(event, Samples):
            rows = zip(event.member.tolist(), event.t.tolist(), event.y, strict=True)
            samples += [(t, y) for member, t, y in rows if member == 0]
        elif isinstance(event, Finished):
            for row, outcome in enumerate(event.outcomes):
                part = event.state.select(torch.tensor([row]))
                finished[int(part.member)] = (outcome, part)
    return samples, finished


def assert_same_bits(one: State, other: State):
    """Every field equal, NaN included."""
    for name, value in one.tensors().items():
        torch.testing.assert_close(value, other.tensors()[name], rtol=0, atol=0, equal_nan=True)


def column(*values):
    """Values as a batch of one number for each member."""
    return torch.tensor(values, dtype=torch.float64)[:, None]


def error_at(system, y0, stepper, t, truth, *, end=1.0, n=16):
    """Distance to the truth at time t, after n steps of equal size to ``end`` or little beyond; one member."""
    samples, _ = follow(system, y0, Method(stepper, FixedStep()), dt=end / n, times=[t], max_steps=n)
    assert samples[-1][0] == t
    return float((samples[-1][1] - truth).norm())


def slope(x, y):
    """Exponent of y ~ x^s."""
    return np.polyfit(np.log(x), np.log(y), 1)[0]


def trial(system, y0, dt, errors):
    """A first state, and a trial of no step that has these errors."""
    state = start(system, RungeKutta32(1.0), y0, torch.full((len(y0),), dt, dtype=torch.float64), 0)
    tried = ExactStepper(Linear([[0.0]])).step(system, state)
    return state, replace(tried, error=torch.tensor(errors, dtype=torch.float64))
