"""Whether a dtype can resolve F = α(f − f₀) at a given α."""

import math

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantities.fit import rms


def check_precision(alpha: float, f0: Tensor, tolerance: float) -> None:
    """Refuse a dtype in which F drowns in the rounding of f − f₀; F is of order 1 when training stops.

    Args:
        alpha: output scale.
        f0: f(w₀, x) on the training set, (M, P).
        tolerance: largest α·ε·rms(f) that is accepted.

    Raises:
        ConfigError: rounding is larger, or f(w₀, x) is not finite.
    """
    size = float(rms(f0).max())
    if not math.isfinite(size):
        raise ConfigError("f(w₀, x) is not finite on a training pattern: the network overflows at its initial weights.")
    lost = alpha * torch.finfo(f0.dtype).eps * size
    if lost > tolerance:
        way_out = "a smaller α" if f0.dtype == torch.float64 else "dtype=float64 or a smaller α"
        raise ConfigError(
            f"dtype={str(f0.dtype).removeprefix('torch.')}: at α = {alpha:g} rounding of f − f₀ puts an "
            f"error of about {lost:.1e} into F, more than dynamics.precision_tol={tolerance:g}; use {way_out}."
        )
