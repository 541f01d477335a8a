"""Data ``shortcut``: two features of a class, one easier to see and one that predicts better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.streams import stream
from feature_lazy.data.rules import listed
from feature_lazy.data.synthetic import Law
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Drawn

UNITS = 8
"""Directions of a feature that has gone through layers, and units of each layer."""
NODES = 64
"""Of Gauss–Hermite quadrature, for the mean square of what layers make of a feature."""
EDGE, SIDE = 3.0, 22
"""Probes are a grid over [−3, 3]² with as many points on each side; an even number keeps off the axes."""


@option("dataset", "shortcut")
class Shortcut(Law):
    """A class y = ±1 with z ~ N(yμ, 1) for two features, shortcut and core: x = Σ_j a_j w_j z_j/c, E |x|² = d.

    The data of arXiv:2310.16228: μ_j = √2 erf⁻¹(2ρ_j − 1) makes ρ_j the share of patterns with sign z_j = y, a_j the
    size with which z_j is seen, and w_j are orthonormal. A nested feature goes through random tanh layers before.
    Probes are the points of a grid of z at which both features disagree, with what the shortcut says of them and what
    the best classifier does, whose weights are μ.
    """

    dim: int = key(100, "d, numbers in one pattern", ge=1)
    predictivity: list[float] = key([0.85, 0.9], "ρ of shortcut and core, in (½, 1)")
    availability: list[float] = key([4.0, 0.25], "a of shortcut and core", gt=0)
    nesting: list[int] = key([0, 0], "tanh layers that shortcut and core go through", ge=0)

    @property
    def _room(self) -> list[int]:
        """Directions of each feature."""
        return [UNITS if layers else 1 for layers in self.nesting]

    def law_problems(self) -> Iterator[str]:
        for name in ("predictivity", "availability", "nesting"):
            values = getattr(self, name)
            if len(values) != 2:
                yield f"dataset.{name}={listed(values)}: must be two numbers, of shortcut and core."
        if not all(0.5 < rho < 1 for rho in self.predictivity):
            yield f"dataset.predictivity={listed(self.predictivity)}: must be between ½ and 1."
        if self.dim < sum(self._room):
            yield f"dataset.dim={self.dim}: must be at least {sum(self._room)}, the directions of both features."

    @property
    def means(self) -> np.ndarray:
        """μ of both features, (2,)."""
        from scipy.special import erfinv

        return np.sqrt(2) * erfinv(2 * np.array(self.predictivity) - 1)

    def sample(self, rng: np.random.Generator, n: int, seed: int) -> Drawn:
        classes = rng.integers(0, 2, size=n)
        z = rng.standard_normal((n, 2)) + np.outer(2 * classes - 1, self.means)
        return self.embedded(z, seed), classes, None

    def probes(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        side = np.linspace(-EDGE, EDGE, SIDE)
        z = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        z = z[z[:, 0] * z[:, 1] < 0]
        best = z @ self.means
        # Where both are as good, the grid has points between: nobody is right there.
        best = np.where(np.abs(best) > 1e-9, np.sign(best), 0.0)
        return self.embedded(z, seed), np.stack([np.sign(z[:, 0]), best], axis=1)

    def embedded(self, z: np.ndarray, seed: int) -> np.ndarray:
        """Patterns x (n, d) of features z (n, 2)."""
        room = self._room
        draws = stream(seed, "shortcut", "directions")
        w = np.linalg.qr(draws.standard_normal((self.dim, sum(room))))[0].T
        parts = [
            a * self._seen(j, z[:, j], seed) @ part
            for j, (a, part) in enumerate(zip(self.availability, np.split(w, [room[0]]), strict=True))
        ]
        squares = np.square(self.availability) @ (1 + self.means**2)
        return np.sqrt(self.dim / squares) * sum(parts)

    def _seen(self, j: int, z: np.ndarray, seed: int) -> np.ndarray:
        """Feature j as it is embedded, (n, directions), of mean square 1 + μ² in all, as without layers."""
        if not self.nesting[j]:
            return z[:, None]
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        mean = self.means[j]
        squares = [np.square(self._layers(j, nodes + y * mean, seed)).sum(1) @ weights for y in (-1, 1)]
        unit = np.sqrt((1 + mean**2) / (sum(squares) / 2 / weights.sum()))
        return unit * self._layers(j, z, seed)

    def _layers(self, j: int, z: np.ndarray, seed: int) -> np.ndarray:
        draws, h = stream(seed, "shortcut", "layers", str(j)), z[:, None]
        for _ in range(self.nesting[j]):
            w = draws.standard_normal((h.shape[1], UNITS)) / np.sqrt(h.shape[1])
            h = np.tanh(h @ w + draws.standard_normal(UNITS))
        return h
