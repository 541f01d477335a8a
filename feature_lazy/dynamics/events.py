"""Moments that the integrator looks for between steps, as sign changes of a function of the outputs."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.settings.groups import Loss


@dataclass(frozen=True)
class Event:
    """The first moment at which ``value`` is negative.

    Attributes:
        name: key under which its time is stored.
        value: outputs (M, P·C) → (M,).
        terminal: whether the member's integration ends there, as converged.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    terminal: bool = False


def half_loss(loss: Loss, labels: Tensor, n_outputs: int = 1) -> Event:
    """t_½: the mean loss on the training set falls below half of its value at F = 0 (Fig. 5b)."""
    dtype = labels.dtype if labels.is_floating_point() else torch.float64
    rest = torch.zeros(1, len(labels) * n_outputs, dtype=dtype, device=labels.device)
    half = 0.5 * float(loss(rest, labels).mean())
    return Event("t_half", lambda outputs: loss(outputs, labels).mean(1) - half)


def converged(loss: Loss, labels: Tensor, *, terminal: bool = True) -> Event:
    """t_stop: every training pattern has a margin above the loss's stop margin (section 3).

    Under a regulariser it ends nothing: that balances the loss, and patterns may be fit long before or never.
    """
    return Event("t_stop", lambda outputs: loss.stop_margin - loss.margin(outputs, labels).amin(1), terminal=terminal)
