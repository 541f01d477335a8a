"""Exponents of √h·α and of h, by least squares within seeds."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_lazy.study.estimate import Estimate, average, estimate, unless_alike
from feature_lazy.study.grid import Grid
from feature_lazy.study.table import X, along, whole


def slope(table: pd.DataFrame, column: str, between: tuple[float, float]) -> Estimate | None:
    """Exponent of ``column`` ~ (√h·α)^s over a range, one intercept for each width and seed.

    Runs that share a seed share their initial weights, so their difference over α is the cleanest slope.

    Returns:
        None if no width and seed has two values of √h·α in the range.
    """
    return _slope(_along_x(table, column, between))


def bend(table: pd.DataFrame, column: str, between: tuple[float, float]) -> Estimate | None:
    """Half of how much the exponent of ``slope`` changes from one end of the range to the other, by a parabola.

    A law that holds only far from the crossover bends; the exponent at the ends of the range is slope ± bend.

    Returns:
        None if no width and seed has three values of √h·α in the range.
    """
    sums = _along_x(table, column, between)
    determinant = sums.uu * sums.qq - sums.uq**2
    if not (determinant > 1e-9 * (sums.uu * sums.reach) ** 2).any():
        return None

    def curvature(weights: np.ndarray) -> np.ndarray:
        uu, uq, qq, uy, qy = (weights @ part for part in (sums.uu, sums.uq, sums.qq, sums.uy, sums.qy))
        return sums.reach * (uu * qy - uq * uy) / (uu * qq - uq**2)

    return estimate(curvature, len(sums.uu))


def width_slope(table: pd.DataFrame, column: str, between: tuple[float, float], *, fixed: str = X) -> Estimate | None:
    """Exponent of ``column`` ~ h^s at fixed √h·α over a range of it, one intercept for each √h·α and seed.

    Args:
        table: runs.
        column: what has the exponent.
        between: the range.
        fixed: what is held instead of √h·α, such as ``alpha``.

    Returns:
        None if no √h·α and seed has two widths in the range.
    """
    part = Grid.of(table.assign(**{X: table[fixed]}), column).log().between(*between)
    return _slope(_Sums.of(part.values, np.log(part.h)[:, None, None], axis=0))


def mean(table: pd.DataFrame, column: str, between: tuple[float, float]) -> Estimate | None:
    """Mean of a column over the cells with √h·α in a range, and its error over seeds; None where there are none.

    Of each seed the mean over the cells that all seeds have (``whole``); of these their mean ± 95 %. If seeds share no
    cell: the mean over cells of what each has on the mean, without an error.
    """
    part = table[table[X].between(*between)]
    values = Grid.of(part, column).values
    known = np.isfinite(values)
    if not known.any():
        return None
    if len(shared := whole(part, column)):
        return unless_alike(average(np.nanmean(Grid.of(shared, column).values, (0, 1))))
    count = known.sum(-1)
    cells = np.where(known, values, 0).sum(-1)[count > 0] / count[count > 0]
    return Estimate(float(cells.mean()), float("nan"), values.shape[-1])


def start_slope(table: pd.DataFrame, column: str) -> Estimate | None:
    """Exponent of a column at t = 0 in h, over all √h·α, which play no part in it; None without two widths."""
    return width_slope(at_start(table, column), "start", (0.0, np.inf), fixed="one")


def at_start(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The runs with ``start``, a column at t = 0, and the column ``one``."""
    return table.assign(start=along(table, column, lambda curve: curve[0]), one=1.0)


def _along_x(table: pd.DataFrame, column: str, between: tuple[float, float]) -> "_Sums":
    part = Grid.of(table, column).log().between(*between)
    return _Sums.of(part.values, np.log(part.x)[None, :, None], axis=1)


def _slope(sums: "_Sums") -> Estimate | None:
    if not len(sums.uu):
        return None
    return estimate(lambda weights: (weights @ sums.uy) / (weights @ sums.uu), len(sums.uu))


@dataclass(frozen=True)
class _Sums:
    """Sums of products of deviations from the mean of each line, for each seed that has any, (n,).

    u: coordinate; q: its square; y: value. ``reach``: from the smallest to the largest u.
    """

    uu: np.ndarray
    uq: np.ndarray
    qq: np.ndarray
    uy: np.ndarray
    qy: np.ndarray
    reach: float

    @classmethod
    def of(cls, values: np.ndarray, u: np.ndarray, axis: int) -> "_Sums":
        """The sums of values (H, X, n), NaN where missing, along the axis whose coordinate is u."""
        known = np.isfinite(values)
        u = np.broadcast_to(u, values.shape)
        # Squares of what is already small: u² about 0 would lose digits for √h·α far from 1.
        u = u - u[known].mean() if known.any() else u
        count = np.maximum(known.sum(axis, keepdims=True), 1)

        def deviations(part: np.ndarray) -> np.ndarray:
            part = np.where(known, part, 0)
            return np.where(known, part - part.sum(axis, keepdims=True) / count, 0)

        du, dq, dy = deviations(u), deviations(u**2), deviations(values)
        pairs = [(du * du), (du * dq), (dq * dq), (du * dy), (dq * dy)]
        sums = np.array([pair.sum((0, 1)) for pair in pairs])
        telling = sums[0] > 0
        return cls(*sums[:, telling], reach=float(np.ptp(u[known])) if known.any() else 0.0)
