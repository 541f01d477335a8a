"""Dense output: the state anywhere within an accepted step, so that observation never shortens a step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.events import Event
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Dense
from feature_lazy.dynamics.system import System

BISECTIONS = 12
"""Halvings of a step when an event is located: its time is off by at most dt/2¹². Steps that are much of all time,
as lazy ones are, need more: see ``Method``."""


@dataclass(frozen=True)
class Hermite:
    """Cubic interpolation in y from the velocities at both ends, which every explicit method has.

    Attributes:
        system: gives the outputs of an interpolated state.
        state: the start of the step.
        y: its end, (M, D).
        velocity: dy/dt there, (M, D).
    """

    system: System
    state: State
    y: Tensor
    velocity: Tensor

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        dt = self.state.dt[rows]
        return hermite(theta, dt, (self.state.y[rows], self.state.velocity[rows]), (self.y[rows], self.velocity[rows]))

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        return self.system.outputs(self.at(rows, theta), self.state.member[rows])


def hermite(theta: Tensor, dt: Tensor, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor]) -> Tensor:
    """The cubic through values and velocities at both ends: theta, dt (M,), each end two of (M, D) → (M, D)."""
    (y0, v0), (y1, v1) = start, end
    s, step = theta.to(y0.dtype)[:, None], dt.to(y0.dtype)[:, None]
    left = (1 + 2 * s) * (1 - s) ** 2 * y0 + s * (1 - s) ** 2 * step * v0
    return left + s**2 * (3 - 2 * s) * y1 - s**2 * (1 - s) * step * v1


def locate(dense: Dense, rows: Tensor, event: Event, bisections: int) -> Tensor:
    """Fraction of the step at which the event's value turns negative, for rows (M,) where it does: (M,) float64.

    Bisection keeps the upper end, so that the event has happened in the state that is returned.
    """
    low = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    high = torch.ones_like(low)
    for _ in range(bisections):
        middle = (low + high) / 2
        happened = event.value(dense.outputs(rows, middle)) < 0
        high = torch.where(happened, middle, high)
        low = torch.where(happened, low, middle)
    return high
