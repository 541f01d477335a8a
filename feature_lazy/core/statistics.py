"""Student's interval, and where a curve falls through zero."""

from typing import Any

import numpy as np

LEVEL = 0.95
"""How often an error bar is to hold the true value."""


def student(n: Any) -> Any:
    """How many standard errors of a mean of n values make half its 95 % confidence interval; n may be an array."""
    from scipy.special import stdtrit  # a tenth of a second

    return stdtrit(np.asarray(n) - 1, (1 + LEVEL) / 2)


def falls(x: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """First x at which each curve goes from above 0 to 0 or below, linear in between.

    Args:
        x: (X,), ascending.
        curves: (B, X); points at which no curve has a value are left out.

    Returns:
        (B,), NaN where a curve does not.
    """
    here = np.isfinite(curves).any(0)
    x, curves = x[here], curves[:, here]
    if len(x) < 2:
        return np.full(len(curves), np.nan)
    below = (curves[:, :-1] > 0) & (curves[:, 1:] <= 0)
    rows, i = np.arange(len(curves)), below.argmax(1)
    before, after = curves[rows, i], curves[rows, i + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        places = x[i] + before * (x[i + 1] - x[i]) / (before - after)
    return np.where(below.any(1), places, np.nan)
