"""Data ``exp_sine``: the function of two variables on which Kolmogorov–Arnold networks were introduced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feature_lazy.data.synthetic import NoisyTargets
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

MEDIAN = 0.33664080298277305
"""Of sin πu + v² for u and v uniform on [−1, 1], by quadrature and a root."""


@option("dataset", "exp_sine")
class ExpSine(NoisyTargets):
    """x = √3(u, v), u and v uniform on [−1, 1], with f* = e^{sin πu + v²} less its mean, over its standard deviation.

    Splines of two layers with one unit between them have it in them: an example of Liu et al. (arXiv:2404.19756). The
    class is whether f* is above its median.
    """

    dim: int = key(2, "d: the function has two variables", ge=1)

    def law_problems(self) -> Iterator[str]:
        if self.dim != 2:
            yield f"dataset.dim={self.dim}: the function has two variables; it must be 2."

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.uniform(-np.sqrt(3), np.sqrt(3), (n, self.dim))

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        from scipy.special import erfi, i0

        u, v = x.T / np.sqrt(3)
        exponent = np.sin(np.pi * u) + v**2
        # E e^{c sin πu} = I₀(c), E e^{cv²} = √(π/4c) erfi √c.
        mean, square = (float(i0(c) * np.sqrt(np.pi / c) / 2 * erfi(np.sqrt(c))) for c in (1, 2))
        return (exponent > MEDIAN).astype(np.int64), (np.exp(exponent) - mean) / np.sqrt(square - mean**2)
