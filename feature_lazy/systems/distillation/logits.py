"""The logit that a student is pulled to by its teacher and by ground truth."""

import torch
from torch import Tensor

HALVINGS = 100
"""Of an interval of up to some hundred: to the last bit."""


def effective_logits(teacher: Tensor, hard: Tensor, soft: float, temperature: float) -> Tensor:
    """Root z of (ρ/T)[σ(z/T) − σ(z_t/T)] + (1−ρ)[σ(z) − 1{y>0}] = 0 for each pattern (arXiv:2010.10090).

    For y = −1 it is minus the root for −z_t and y = 1, which lies above z_t; what is small is never a difference.

    Args:
        teacher: z_t, (P,).
        hard: y = ±1, (P,).
        soft: ρ, above 0, at most 1.
        temperature: T.
    """
    z, part = teacher * hard, soft / temperature
    if soft == 1:
        return teacher.clone()
    missing = part * torch.sigmoid(-z / temperature)
    low = z
    # σ(−z) ≤ e^{−z/τ} and σ(−z/T) ≤ e^{−z/τ} for z > 0, with τ the larger of T and 1.
    high = torch.maximum(low, max(temperature, 1.0) * torch.log((part + 1 - soft) / missing).clamp(min=0))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        below = missing < part * torch.sigmoid(-middle / temperature) + (1 - soft) * torch.sigmoid(-middle)
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return hard * (low + high) / 2
