"""Dense output: the state anywhere within an accepted step, from the two velocities that the step already has."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.events import Event
from feature_lazy.dynamics.flow import System
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Trial

# Halvings of a step when an event is located: its time is off by at most dt/2¹⁶, far below the error of the step.
BISECTIONS = 16


@dataclass(frozen=True)
class Segment:
    """The step from a state to a trial, as a cubic Hermite interpolant in y."""

    state: State
    trial: Trial

    @property
    def t_end(self) -> Tensor:
        """Time at the end of the step, (E,)."""
        return self.state.t + self.state.dt

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        """Y at the fraction theta (k,) ∈ [0, 1] of the step of each row (k,) of the batch: (k, D)."""
        s = theta.to(self.state.y.dtype)[:, None]
        dt = self.state.dt[rows].to(s.dtype)[:, None]
        y0, y1 = self.state.y[rows], self.trial.y[rows]
        start = (1 + 2 * s) * (1 - s) ** 2 * y0 + s * (1 - s) ** 2 * dt * self.state.velocity[rows]
        end = s**2 * (3 - 2 * s) * y1 - s**2 * (1 - s) * dt * self.trial.velocity[rows]
        return start + end


def locate(system: System, segment: Segment, rows: Tensor, event: Event) -> Tensor:
    """Fraction of the step at which the event's value turns negative, for rows (k,) where it does: (k,) float64.

    Bisection keeps the upper end, so that the event has happened in the state that is returned.
    """
    low = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    high = torch.ones_like(low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        outputs = system.outputs(segment.at(rows, middle), segment.state.member[rows])
        happened = event.value(outputs) < 0
        high = torch.where(happened, middle, high)
        low = torch.where(happened, low, middle)
    return high
