"""Small systems, steppers and controllers with known solutions."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import expm

from feature_lazy.dynamics import Limits, State
from feature_lazy.dynamics.step import Trial


class Flow:
    """A system from its velocity; the outputs are the state itself."""

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
        """y(t), shape (E, D)."""
        return y0 @ torch.from_numpy(expm(self.matrix.numpy() * float(t))).T


@dataclass(frozen=True)
class ExactStepper:
    """Steps of a linear system without error, so that only what is read between the steps can be wrong."""

    system: Linear

    def step(self, system, state: State) -> Trial:
        y = torch.cat([self.system.exact(row[None], dt) for row, dt in zip(state.y, state.dt, strict=True)])
        return Trial(y, *system.evaluate(y, state.member), error=torch.zeros_like(state.t), gradients=1)


class FixedStep:
    """Accepts everything and keeps dt."""

    def decide(self, error, dt):
        return torch.ones_like(error, dtype=torch.bool), dt


class Scripted:
    """Accepts or rejects, and stretches dt, as a list says; one member."""

    def __init__(self, script):
        self.script = iter(script)

    def decide(self, error, dt):
        accepted, factor = next(self.script)
        return torch.tensor([accepted]), dt * factor


def limits(members=1, **changes) -> Limits:
    """Limits of a batch with time scale 1."""
    return Limits(**{"dt_floor": 1e-10, "time_scale": torch.ones(members, dtype=torch.float64), **changes})


def column(*values):
    """Values as a batch of one number for each member."""
    return torch.tensor(values, dtype=torch.float64)[:, None]


def slope(x, y):
    """Exponent of y ~ x^s."""
    return np.polyfit(np.log(x), np.log(y), 1)[0]
