"""Margins of outputs: by how much the right answer wins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def margins(outputs: Tensor, labels: Tensor) -> Tensor:
    """Margin m of each pattern: F·y for y = ±1, F_y − max_{c≠y} F_c for classes; at m ≤ 0 it is misclassified.

    Args:
        outputs: F, (…, P·C).
        labels: y, (P,) or (…, P), floating point ±1 or integer classes.

    Returns:
        (…, P).
    """
    if labels.is_floating_point():
        return outputs * labels
    own, each = own_class(outputs, labels)
    return each.masked_fill(~own, 0).sum(-1) - each.masked_fill(own, -math.inf).amax(-1)


def own_class(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which output is that of the pattern's class, (…, P, C) bool, and the outputs F of each class, (…, P, C)."""
    import torch

    each = outputs.unflatten(-1, (labels.shape[-1], -1))
    return labels[..., None] == torch.arange(each.shape[-1], device=labels.device), each
