"""Where a curve falls through a level, and how that moves with the width."""

import numpy as np
import pandas as pd

from feature_lazy.core.statistics import falls
from feature_lazy.study.estimate import Estimate, estimate, weighted_mean
from feature_lazy.study.grid import Grid
from feature_lazy.study.table import H


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
    logs = _crossing_widths(Grid.of(table, column).log(), level)
    mine = logs.h.tolist().index(h)

    def moved(weights: np.ndarray) -> np.ndarray:
        places = log_places(logs, level, weights)
        return places[:, mine] - places.mean(1)

    return estimate(moved, logs.values.shape[2])


def boundary_slope(table: pd.DataFrame, column: str, level: float) -> Estimate | None:
    """Exponent of α* ~ h^s, with α* = ``crossing``/√h (Fig. 3c–d: −½).

    Returns:
        None if fewer than two widths have a crossing.
    """
    logs = _crossing_widths(Grid.of(table, column).log(), level)
    if len(logs.h) < 2:
        return None
    u = np.log(logs.h) - np.log(logs.h).mean()

    def exponent(weights: np.ndarray) -> np.ndarray:
        return (log_places(logs, level, weights) - np.log(logs.h) / 2) @ u / (u @ u)

    return estimate(exponent, logs.values.shape[2])


def log_places(logs: Grid, level: float, weights: np.ndarray) -> np.ndarray:
    """Logarithm of each width's crossing, or NaN, from logarithms of a column and weights of seeds: (B, n) → (B, H)."""
    x = np.log(logs.x)
    places = [falls(x, weighted_mean(weights, one) - np.log(level)) for one in logs.values]
    return np.stack(places, axis=1) if places else np.empty((len(weights), 0))


def _crossing_widths(logs: Grid, level: float) -> Grid:
    there = np.isfinite(log_places(logs, level, np.ones((1, logs.values.shape[2])))[0])
    return Grid(logs.h[there], logs.x, logs.values[there])
