"""Dense output: the state anywhere within an accepted step, so that observation never shortens a step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.events import Event
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Dense
from feature_lazy.dynamics.system import System


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


@dataclass(frozen=True)
class Search:
    """How the moment of an event is looked for within a step.

    Attributes:
        bisections: halvings of the step whose 2^bisections parts are told apart: its time is off by at most one.
        secants: how often to try the moment at which the value vanishes if it goes straight, before halving where that
            left more than half (Anderson and Björck, BIT 13, 1973). It ends in the part in which halvings alone end,
            unless the value turns more than once.
    """

    bisections: int = 12
    secants: int = 0


def hermite(theta: Tensor, dt: Tensor, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor]) -> Tensor:
    """The cubic through values and velocities at both ends: theta, dt (M,), each end two of (M, D) → (M, D)."""
    (y0, v0), (y1, v1) = start, end
    s, step = theta.to(y0.dtype)[:, None], dt.to(y0.dtype)[:, None]
    left = (1 + 2 * s) * (1 - s) ** 2 * y0 + s * (1 - s) ** 2 * step * v0
    return left + s**2 * (3 - 2 * s) * y1 - s**2 * (1 - s) * step * v1


def locate(dense: Dense, rows: Tensor, event: Event, ends: tuple[Tensor, Tensor], search: Search) -> Tensor:
    """Fraction of the step at which the event's value turns negative, for rows (M,) where it does: (M,) float64.

    A part of the step is looked for at whose start the event has not happened and at whose end it has. The end is
    returned, so that the event has happened in the state there.

    Args:
        dense: the step.
        rows: members in which the event happens.
        event: what is looked for.
        ends: its values at the start and at the end of the step, (M,) each.
        search: how, and how finely.
    """
    before, after = (value.double() for value in ends)
    low, high = torch.zeros_like(before), torch.full_like(before, 2.0**search.bisections)
    last, width, tried = torch.ones_like(rows, dtype=torch.bool), high, torch.zeros_like(rows)
    while (wide := high - low > 1).any():
        straight, halve = low + (high - low) * before / (before - after), tried == search.secants
        part = torch.where(halve | ~straight.isfinite(), ((low + high) / 2).floor(), straight.ceil())
        part = torch.where(wide, part.clamp(low + 1, high - 1), high)  # what is found stays while other rows go on
        value = event.value(dense.outputs(rows, part / 2.0**search.bisections)).double()
        happened = value < 0
        # An end that stays a second time counts for less, else secants would come near from one side alone.
        lessened = 1 - value / torch.where(happened, after, before)
        lessened = torch.where(happened == last, torch.where(lessened > 0, lessened, 0.5), 1.0)
        before, after = torch.where(happened, before * lessened, value), torch.where(happened, value, after * lessened)
        low, high, last = torch.where(happened, low, part), torch.where(happened, part, high), happened
        halved = halve | (high - low <= width / 2)
        width, tried = torch.where(halved, high - low, width), torch.where(halved, 0, tried + 1)
    return high / 2.0**search.bisections
