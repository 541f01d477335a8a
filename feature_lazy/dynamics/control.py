"""A controller for methods that estimate their error."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SmoothController:
    """dt × safety · error^(−1/order), within bounds, and no growth right after a rejection.

    Attributes:
        safety: aims a little below the tolerance, so that few steps are rejected.
        shrink: smallest factor of a rejected step.
        grow: largest factor of an accepted step.
    """

    safety: float = 0.9
    shrink: float = 0.02
    grow: float = 4.0

    def decide(self, error: Tensor, order: Tensor, dt: Tensor, after_rejection: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Controller.decide``."""
        accepted = error < 1
        largest = torch.where(after_rejection, 1.0, self.grow)
        factor = (self.safety * error.clamp(min=1e-12) ** (-1 / order)).clamp(min=self.shrink)
        return accepted, dt * torch.where(accepted, torch.minimum(factor, largest), factor.clamp(max=self.safety))
