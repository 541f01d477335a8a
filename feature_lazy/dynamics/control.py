"""A controller for methods that estimate their error."""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Trial

PER_OCTAVE = 16
"""Steps are 2^{k/PER_OCTAVE}."""


def on_grid(dt: Tensor) -> Tensor:
    """Steps (M,) on a grid below, so that members take the same ones in every batch.

    Rounding errors, which depend on the batch, would change every step a little and, where stability limits the step,
    the run by as much as the tolerance allows.
    """
    exponents = ((PER_OCTAVE * torch.log2(dt)).floor() / PER_OCTAVE).tolist()
    # One by one: PyTorch's powers of several numbers end in other bits than those of one, and from a step that is just
    # below the grid the next one would fall by a whole place of it.
    return dt.new_tensor([2.0**exponent for exponent in exponents])


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
    """

    safety: float = 0.9
    shrink: float = 0.02
    grow: float = 4.0

    def decide(self, trial: Trial, state: State) -> tuple[Tensor, Tensor]:
        last = state.last_dt, state.last_error
        return trial.error < 1, self.next_step(state.dt, trial.error, trial.order, last, state.after_rejection)

    def next_step(
        self, dt: Tensor, error: Tensor, order: Tensor | float, last: tuple[Tensor, Tensor], after_rejection: Tensor
    ) -> Tensor:
        """The step to try after one of dt with an error over its bound, accepted below 1, (M,) each.

        Args:
            dt: the step that was tried.
            error: its error over the bound.
            order: k.
            last: the last accepted step, and its error; NaN before the first.
            after_rejection: whether the one before was rejected.
        """
        (last_dt, last_error), e, k = last, error.clamp(min=1e-8), order
        last_e = last_error.clamp(min=1e-8).nan_to_num(nan=1.0)
        single = self.safety * e ** (-1 / k)
        steady = self.safety * e ** (-0.7 / k) * last_e ** (0.4 / k)
        trend = (dt / last_dt) * (last_e / e) ** (1 / k)
        predictive = torch.where(last_dt.isnan(), torch.inf, single * trend)
        largest = torch.where(after_rejection, 1.0, self.grow)
        growing = torch.minimum(torch.minimum(steady, predictive), largest)
        factor = torch.where(error < 1, growing, single.clamp(max=self.safety))
        return on_grid(dt * factor.clamp(min=self.shrink))
