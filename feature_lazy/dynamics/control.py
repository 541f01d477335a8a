"""A controller for methods that estimate their error."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Trial


@dataclass(frozen=True)
class SmoothController:
    """Proportional-integral control with prediction, within bounds, and no growth right after a rejection.

    With the error e of order k, the next step is the smaller of two. PI: dt·safety·e^{−0.7/k}·e_last^{0.4/k}
    (Hairer and Wanner, Solving ODEs II, IV.2), which settles where stability limits an explicit method instead of
    bouncing off. Predictive, after Gustafsson (ACM TOMS 20, 1994): dt·safety·(dt/dt_last)·(e_last/e)^{1/k}·e^{−1/k},
    which sees errors grow from step to step, as they do when a network leaves its initial plateau.

    Attributes:
        safety: aims a little below the tolerance, so that few steps are rejected.
        shrink: smallest factor of any step.
        grow: largest factor of an accepted step.
        per_octave: steps are 2^{k/per_octave}, so that members take the same ones in every batch.
    """

    safety: float = 0.9
    shrink: float = 0.02
    grow: float = 4.0
    per_octave: int = 16

    def decide(self, trial: Trial, state: State) -> tuple[Tensor, Tensor]:
        accepted = trial.error < 1
        e, k = trial.error.clamp(min=1e-8), trial.order
        last = state.last_error.clamp(min=1e-8).nan_to_num(nan=1.0)
        single = self.safety * e ** (-1 / k)
        steady = self.safety * e ** (-0.7 / k) * last ** (0.4 / k)
        trend = (state.dt / state.last_dt) * (last / e) ** (1 / k)
        predictive = torch.where(state.last_dt.isnan(), torch.inf, single * trend)
        largest = torch.where(state.after_rejection, 1.0, self.grow)
        growing = torch.minimum(torch.minimum(steady, predictive), largest)
        factor = torch.where(accepted, growing, single.clamp(max=self.safety))
        dt = state.dt * factor.clamp(min=self.shrink)
        # A grid of steps: rounding errors, which depend on the batch, would change every step a little and, where
        # stability limits the step, the run by as much as the tolerance allows.
        exponents = ((self.per_octave * torch.log2(dt)).floor() / self.per_octave).tolist()
        # One by one: PyTorch's powers of several numbers end in other bits than those of one, and from a step that is
        # just below the grid the next one would fall by a whole place of it.
        return accepted, dt.new_tensor([2.0**exponent for exponent in exponents])
