"""Sums over private records, released under (ε, δ)-differential privacy, and similarities that follow from these.

Neighbouring data sets differ by one record that is added or removed. A uniform record of norm 1 moves a sum by 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import root_scalar
from scipy.special import log_ndtr, ndtr

WITH_COUNT = math.sqrt(2)
"""What a record of norm 1 moves the sum of its class and its count by, jointly."""
RANGE = (-30.0, 30.0)
"""ln of the noise over the sensitivity, between which it is looked for."""


def gaussian_noise(epsilon: float, delta: float, sensitivity: float = 1.0) -> float:
    """Standard deviation with which the Gaussian mechanism is (ε, δ)-private, exactly (Balle and Wang, 2018).

    The s for which Φ(Δ/2s − εs/Δ) − e^ε Φ(−Δ/2s − εs/Δ) = δ; 0 for ε = ∞, which is no privacy.

    Args:
        epsilon: ε > 0.
        delta: δ, between 0 and 1.
        sensitivity: Δ, by how much one record moves what is released, in Euclidean norm.
    """
    if math.isinf(epsilon):
        return 0.0

    def excess(log: float) -> float:
        s = math.exp(log)
        near, far = 1 / (2 * s) - epsilon * s, -1 / (2 * s) - epsilon * s
        return float(ndtr(near) - np.exp(epsilon + log_ndtr(far)) - delta)

    found = root_scalar(excess, bracket=RANGE, method="brentq", xtol=1e-14, rtol=1e-14)
    return sensitivity * math.exp(found.root)


def unit(z: np.ndarray) -> np.ndarray:
    """Rows (n, D) over their norm; a row of zeros stays."""
    norms = np.linalg.norm(z, axis=1, keepdims=True)
    return np.divide(z, norms, out=np.zeros_like(z, dtype=np.float64), where=norms > 0)


@dataclass(frozen=True)
class Released:
    """The sum of records of norm 1 of a class and their count, both with noise: all that similarities are made of.

    Attributes:
        total: Σz, (D,).
        count: n.
    """

    total: np.ndarray
    count: float

    @classmethod
    def of(cls, z: np.ndarray, noise: float, rng: np.random.Generator) -> Released:
        """Of records z (n, D) of norm 1; ``noise`` is for a sensitivity of ``WITH_COUNT``."""
        total, count = rng.standard_normal(z.shape[1]), rng.standard_normal()
        return cls(z.sum(0) + noise * total, len(z) + noise * float(count))

    def distances(self, y: np.ndarray) -> np.ndarray:
        """Mean of ‖z − y‖² over the records for y (n, D) of norm 1, (n,): 2 − 2 y·Σz/n, as ‖z‖ = 1 is known."""
        return 2 - 2 * y @ self.total / max(self.count, 1.0)


def gaussian_density(
    z: np.ndarray, y: np.ndarray, sigma: float, features: int, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Mean of e^{−‖z − y‖²/σ²} over n records z (n, d), from one release of Σφ(z): at y (m, d), (m,).

    φ are cosines and sines of as many frequencies w ~ N(0, 2/σ² I) over √features (Rahimi and Recht), of norm 1 for any
    record. That n is known is assumed, as where data sets of one size are compared.

    Args:
        z: records, of any norm.
        y: where it is asked.
        sigma: σ.
        features: frequencies.
        noise: standard deviation of what is added to each number of the sum; for a sensitivity of 1.
        rng: of frequencies, which are public, and of the noise.
    """
    w = math.sqrt(2) / sigma * rng.standard_normal((z.shape[1], features))

    def phi(x: np.ndarray) -> np.ndarray:
        return np.concatenate([np.cos(x @ w), np.sin(x @ w)], axis=1) / math.sqrt(features)

    total = phi(z).sum(0) + noise * rng.standard_normal(2 * features)
    return phi(y) @ total / len(z)
