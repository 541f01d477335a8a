"""How well curves of different widths fall on one, as a number."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator
from scipy.stats import f as fisher

from feature_lazy.core.statistics import LEVEL
from feature_lazy.study.grid import Grid

ROUNDING = 1e-12
"""Rounding of a mean of logarithms: seeds that scatter less do not scatter."""


@dataclass(frozen=True)
class Collapse:
    """How far curves of different widths are apart.

    Attributes:
        quality: mean square distance of two widths' curves, over what the scatter of seeds alone would make of it: 1
            where widths differ by their seeds alone (after Bhattacharjee and Seno, 2001, and Houdayer and Hartmann,
            2004, in units of the scatter), below 1 where widths share what their seeds do; NaN where seeds do not tell.
        reference: 95 % quantile of the quality where widths do differ by their seeds alone: Fisher's F with k − 1 and
            k(n − 1) degrees of freedom for k widths and n seeds, as if each curve moved as a whole. Where it does not,
            the quality scatters less.
        spread: rms distance of a width's curve from another's, over √2: in ln, or in units of the column.
    """

    quality: float
    reference: float
    spread: float

    @property
    def collapsed(self) -> bool:
        """Whether seeds alone explain the distance; False where they do not tell."""
        return self.quality <= self.reference


def collapse(grid: Grid, *, against_alpha: bool = False) -> Collapse | None:
    """Distance of the widths' mean curves against √h·α, or against α itself.

    Each curve is compared with every other at its own points where both are, the other's by monotone cubics in
    ln of the coordinate.

    Returns:
        None if no two widths overlap.
    """
    curves = [_Curve.of(grid, i, against_alpha) for i in range(len(grid.h))]
    pairs = [one.distance(other) for one in curves for other in curves if one is not other]
    squares, expected = (np.concatenate(parts) for parts in zip(*pairs, strict=True)) if pairs else (np.array([]),) * 2
    if not len(squares):
        return None
    k, n = len(grid.h), grid.values.shape[2]
    told = expected.mean() > ROUNDING**2
    quality = float(squares.sum() / expected.sum()) if told else float("nan")
    reference = float(fisher.ppf(LEVEL, k - 1, k * (n - 1))) if n > 1 else float("nan")
    return Collapse(quality, reference, float(np.sqrt(squares.mean() / 2)))


def rescaled(table: pd.DataFrame, column: str, low: float) -> Grid:
    """A column with each width's mean curve stretched to [0, 1] over √h·α > low (Fig. 3d).

    Widths whose curve is flat, or that have fewer than three points, are left out.
    """
    grid = Grid.of(table, column).between(low, np.inf)
    kept, values = [], []
    for h, one in zip(grid.h, grid.values, strict=True):
        curve = _means(one)
        curve = curve[np.isfinite(curve)]
        if len(curve) > 2 and np.ptp(curve) > 0:
            kept.append(h)
            values.append((one - curve.min()) / np.ptp(curve))
    return Grid(np.array(kept), grid.x, np.array(values).reshape(len(kept), *grid.values.shape[1:]))


@dataclass(frozen=True)
class _Curve:
    """Mean curve of one width: ln of the coordinate, mean, and variance of the mean, (points,)."""

    u: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, grid: Grid, index: int, against_alpha: bool) -> "_Curve":
        values = grid.values[index]
        here = np.isfinite(values).any(1)
        values, u = values[here], np.log(grid.x[here])
        n = np.isfinite(values).sum(1)
        means = _means(values)
        squares = np.nansum((values - means[:, None]) ** 2, 1)
        variance = np.divide(squares, n * (n - 1), out=np.zeros(len(n)), where=n > 1)
        return cls(u - np.log(grid.h[index]) / 2 if against_alpha else u, means, variance)

    def distance(self, other: "_Curve") -> tuple[np.ndarray, np.ndarray]:
        """Squared distances at this curve's points within the other's reach, and what seeds make of them."""
        if len(other.u) < 2:
            return np.array([]), np.array([])
        slack = 1e-9  # ln of √h·α from a grid of α carries rounding
        inside = (self.u >= other.u[0] - slack) & (self.u <= other.u[-1] + slack)
        at = np.clip(self.u[inside], other.u[0], other.u[-1])
        squares = (self.mean[inside] - PchipInterpolator(other.u, other.mean)(at)) ** 2
        return squares, self.variance[inside] + np.interp(at, other.u, other.variance)


def _means(values: np.ndarray) -> np.ndarray:
    """Means over seeds, (X, n) → (X,); NaN where there is none."""
    known = np.isfinite(values)
    count = known.sum(1)
    return np.divide(np.where(known, values, 0).sum(1), count, out=np.full(len(count), np.nan), where=count > 0)
