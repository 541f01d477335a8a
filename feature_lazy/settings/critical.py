"""Scales of activations at which depth neither kills nor blows up a signal."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feature_lazy.settings.groups import Architecture

BIAS_TOLERANCE = 1e-4
"""How far, relative to it, the variance of biases may be from the critical one: four digits, as a person writes it."""


@dataclass(frozen=True)
class Critical:
    """Where variances and correlations neither grow nor shrink with depth (arXiv:2106.10165, chapter 5).

    With C_W = a² and biases N(0, C_b), K → C_b + C_W E φ₀(√K z)² has a fixed point K* at which both susceptibilities,
    C_W E φ₀′² and C_W E φ₀²(z² − 1)/(2K), are 1; for C_b = 0 it is K* = 0, or every K.

    Attributes:
        weights: C_W.
        biases: C_b.
    """

    weights: float
    biases: float = 0.0


def critical_problems(activation: str, wanted: Critical | None, architecture: "Architecture") -> Iterator[str]:
    """What keeps a network with ``activation.scale=critical`` from being critical: the activation, or its biases."""
    found = architecture.bias_variance
    if wanted is None:
        yield f"activation.scale=critical: activation={activation} has no critical point that is known; use unit."
    elif not math.isclose(found, wanted.biases, rel_tol=BIAS_TOLERANCE, abs_tol=0.0):
        yield (
            f"activation.scale=critical: activation={activation} is critical with biases of variance "
            f"{wanted.biases:.6g}, and architecture={architecture.kind} begins with {found:.6g}; of "
            f"fully_connected set architecture.bias·architecture.bias_std={math.sqrt(wanted.biases):.6g}."
        )
