"""Where a curve falls through a level, and how that moves with the width."""

import numpy as np
import pandas as pd

from analysis.estimate import Estimate, Statistic, estimate, weighted_mean
from analysis.grid import Grid
from analysis.sweep import H


def crossing(table: pd.DataFrame, column: str, level: float) -> Estimate | None:
    """√h·α at which the mean of log ``column`` over seeds first falls through ``level``, linear in logarithms.

    Of several widths that is the mean curve of all.

    Returns:
        None if it does not fall through.
    """
    logs = Grid.of(table, column).log()
    y, x = logs.values - np.log(level), np.log(logs.x)
    if not y.size:
        return None
    # Widths are averaged first: a seed's values at all widths are one draw.
    lines = weighted_mean(np.ones((1, len(logs.h))), np.moveaxis(y, 0, -1))[0]
    found = estimate(lambda weights: np.exp(falls(x, weighted_mean(weights, lines))), lines.shape[1])
    return found if np.isfinite(found.value) else None


def crossings(table: pd.DataFrame, column: str, level: float) -> dict[int, Estimate]:
    """``crossing`` of each width that has one."""
    found = {int(h): crossing(group, column, level) for h, group in table.groupby(H)}
    return {h: place for h, place in found.items() if place is not None}


def shift(table: pd.DataFrame, column: str, level: float, h: int) -> Estimate:
    """How much further out ln of a width's ``crossing`` lies than on the mean over all widths that have one."""
    logs, places = _log_places(table, column, level)
    mine = logs.h.tolist().index(h)
    return estimate(lambda weights: places(weights)[:, mine] - places(weights).mean(1), logs.values.shape[2])


def boundary_slope(table: pd.DataFrame, column: str, level: float) -> Estimate | None:
    """Exponent of α* ~ h^s, with α* = ``crossing``/√h (Fig. 3c–d: −½).

    Returns:
        None if fewer than two widths have a crossing.
    """
    logs, places = _log_places(table, column, level)
    if len(logs.h) < 2:
        return None
    u = np.log(logs.h) - np.log(logs.h).mean()

    def exponent(weights: np.ndarray) -> np.ndarray:
        return (places(weights) - np.log(logs.h) / 2) @ u / (u @ u)

    return estimate(exponent, logs.values.shape[2])


def _log_places(table: pd.DataFrame, column: str, level: float) -> tuple[Grid, Statistic]:
    """Logarithms of the column at the widths that cross, and of their crossings: weights (B, n) → (B, H)."""
    crossing_widths = list(crossings(table, column, level))
    logs = Grid.of(table[table[H].isin(crossing_widths)], column).log()
    y, x = logs.values - np.log(level), np.log(logs.x)

    def places(weights: np.ndarray) -> np.ndarray:
        return np.stack([falls(x, weighted_mean(weights, one)) for one in y], axis=1)

    return logs, places


def falls(x: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """First x at which each curve goes from above 0 to 0 or below, linear in between: (X,), (B, X) → (B,), else NaN."""
    here = np.isfinite(curves).any(0)  # widths need not have the same √h·α
    x, curves = x[here], curves[:, here]
    if len(x) < 2:
        return np.full(len(curves), np.nan)
    below = (curves[:, :-1] > 0) & (curves[:, 1:] <= 0)
    rows, i = np.arange(len(curves)), below.argmax(1)
    before, after = curves[rows, i], curves[rows, i + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        places = x[i] + before * (x[i + 1] - x[i]) / (before - after)
    return np.where(below.any(1), places, np.nan)
