"""How well the probabilities of a classifier are those of its labels: calibration error and temperature."""

import torch
from torch import Tensor

SPAN = 12.0
"""ln T is sought in ± SPAN: beyond it every pattern is right by any probability, or none is."""
HALVINGS = 60
"""Of the interval of ln T: to the last digit."""


def calibration_error(predictor: Tensor, labels: Tensor, bins: int = 10) -> Tensor:
    """Expected calibration error Σ_b (n_b/n)|accuracy − mean confidence| (Guo et al. 2017, eq. 3): (M,).

    Args:
        predictor: F, (M, n·C), whose softmax are the probabilities.
        labels: class of each pattern, (n,).
        bins: of equal width, of the largest probability; bin b has (b/bins, (b + 1)/bins].
    """
    found = predictor.unflatten(1, (len(labels), -1)).double()
    confidence, chosen = found.softmax(-1).max(-1)
    place = (confidence * bins).ceil().clamp(1, bins).long() - 1
    gap = (chosen == labels).double() - confidence
    sums = torch.zeros(len(found), bins, dtype=gap.dtype, device=gap.device).scatter_add(1, place, gap)
    return sums.abs().sum(1) / len(labels)


def temperature(predictor: Tensor, labels: Tensor) -> Tensor:
    """T > 0 with the least mean −ln softmax(F/T)_y, (M,), by bisection: it is convex in 1/T.

    e^{±SPAN} where it falls to the end: for T → 0 where every pattern is right.

    Args:
        predictor: F, (M, n·C).
        labels: class of each pattern, (n,).
    """
    found = predictor.unflatten(1, (len(labels), -1)).double()
    own = found.gather(-1, labels.expand(len(found), -1)[..., None])[..., 0].mean(1)
    low, high = own.new_full(own.shape, -SPAN), own.new_full(own.shape, SPAN)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        # ∂/∂(1/T) of the mean: Σ_c p_c F_c − F_y; positive says that 1/T is too large.
        mean = ((found / middle.exp()[:, None, None]).softmax(-1) * found).sum(-1).mean(1)
        cold = mean > own
        low, high = torch.where(cold, middle, low), torch.where(cold, high, middle)
    return ((low + high) / 2).exp()
