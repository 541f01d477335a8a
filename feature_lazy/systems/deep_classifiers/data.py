"""Data ``dirichlet``: two classes on a sphere whose best classifier is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.streams import stream
from feature_lazy.data.rules import listed
from feature_lazy.data.synthetic import Law
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Drawn


@option("dataset", "dirichlet")
class Dirichlet(Law):
    """Points s of the simplex, Dirichlet in each class, put onto the sphere: x = √d·s/‖s‖ (arXiv:2204.14126).

    All lie where no coordinate is negative, on S^m with m = d − 1. The classes are not balanced: each pattern is of the
    first class, y = −1, with the probability ``prior``.
    """

    dim: int = key(3, "d, numbers in one pattern", ge=2)
    first: list[float] = key([0.5, 0.5, 2.5], "parameters of the first class, d of them", gt=0)
    second: list[float] = key([2.5, 0.1, 0.5], "parameters of the second class", gt=0)
    prior: float = key(0.4, "probability of the first class", gt=0)

    def law_problems(self) -> Iterator[str]:
        for name in ("first", "second"):
            values = getattr(self, name)
            if len(values) != self.dim:
                yield f"dataset.{name}={listed(values)}: must be dataset.dim={self.dim} numbers."
        if not self.prior < 1:
            yield f"dataset.prior={self.prior:g}: must be below 1, for the second class to occur."

    def in_turn(self, cycle: Sequence[int], seed: int, n: int) -> np.ndarray:
        return (stream(seed, "dirichlet", "classes").random(n) >= self.prior).astype(np.int64)

    def sample(self, rng: np.random.Generator, n: int, seed: int) -> Drawn:
        classes = rng.integers(0, 2, size=n)
        s = np.where(classes[:, None] == 0, rng.dirichlet(self.first, n), rng.dirichlet(self.second, n))
        return np.sqrt(self.dim) * s / np.linalg.norm(s, axis=1, keepdims=True), classes, None

    def best(self, x: np.ndarray) -> np.ndarray:
        """Classes (n,) that the Bayes classifier gives patterns x (n, d)."""
        from scipy.special import gammaln

        first, second = np.array(self.first), np.array(self.second)
        s = np.maximum(x / x.sum(1, keepdims=True), np.finfo(float).tiny)
        constant = sum(sign * (gammaln(a.sum()) - gammaln(a).sum()) for sign, a in ((1, second), (-1, first)))
        odds = np.log(s) @ (second - first) + constant + np.log((1 - self.prior) / self.prior)
        return (odds > 0).astype(np.int64)
