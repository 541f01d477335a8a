"""Rank correlation of two columns over networks: whether what is known early orders networks as they end."""

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.study.estimate import Estimate, estimate

LEAST = 3
"""Networks below which ranks say nothing."""
NOT_THE_NETWORK = ("seed", "observe")
"""Groups of the configuration in which runs of one network may differ."""


def kendall(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Kendall's τ_b of n points that count several times: Σ sgn(Δx)sgn(Δy)/√(Σ sgn(Δx)² Σ sgn(Δy)²) over pairs.

    Args:
        x: values, (n,).
        y: values, (n,).
        weights: how often each point counts, (B, n).

    Returns:
        (B,); NaN where all x, or all y, are equal.
    """
    signs = [np.sign(values[:, None] - values) for values in (x, y)]
    products = (signs[0] * signs[1], signs[0] ** 2, signs[1] ** 2)
    both, one, other = (((weights @ product) * weights).sum(1) for product in products)
    return np.divide(both, np.sqrt(one * other), out=np.full(len(weights), np.nan), where=one * other > 0)


def at_time(table: pd.DataFrame, column: str, t: float) -> pd.Series:
    """A column of each run at a training time, linear between observations; of a run that had ended, its last value.

    Args:
        table: runs.
        column: what was observed.
        t: in the article's units.

    Returns:
        A value for each run; NaN of one that has none.
    """

    def of(history: dict[str, np.ndarray]) -> float:
        values = history.get(column, np.array([]))
        known = np.isfinite(values)
        return float(np.interp(t, history["t"][known], values[known])) if known.any() else np.nan

    return pd.Series([of(run.history) for run in table["run"]], table.index, dtype=float)


def by_network(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Means over the seeds of each network, which is what all but seed and observation is the same of.

    A run that has no value of a column counts in none of them.
    """
    configs = (run.config for run in table["run"])
    names = [
        json.dumps({k: v for k, v in one.items() if k not in NOT_THE_NETWORK}, sort_keys=True, default=str)
        for one in configs
    ]
    known = table[list(columns)].notna().all(axis=1)
    return table[list(columns)][known].groupby(pd.Series(names, table.index)[known], sort=False).mean()


def rank_correlation(table: pd.DataFrame, column: str, against: str) -> Estimate | None:
    """Kendall's τ of two columns over networks, each the mean over its seeds, with its error by resampling networks.

    Returns:
        None of fewer than ``LEAST`` networks that have both.
    """
    points = by_network(table, (column, against)).to_numpy(float)
    if len(points) < LEAST:
        return None
    return estimate(lambda weights: kendall(*points.T, weights), len(points))


def rank_table(
    table: pd.DataFrame, columns: Sequence[str], against: str, times: Sequence[float] = ()
) -> dict[tuple[str, float | None], Estimate]:
    """``rank_correlation`` of columns, at training times or at the end, with one as it is at the end.

    Args:
        table: runs.
        columns: of which.
        against: with which.
        times: when the columns are taken; none: at the end.

    Returns:
        By column and time, None at the end.

    Raises:
        StoreError: a column that no run has then, or too few networks.
    """
    found = {}
    _there(table.get(against), against, table)
    for column in columns:
        for t in times or [None]:
            values = table.get(column) if t is None else at_time(table, column, t)
            _there(values, column, table)
            one = rank_correlation(table.assign(_by=values), "_by", against)
            if one is None:
                raise StoreError(
                    f"{column} and {against}: fewer than {LEAST} networks have both; runs that differ in their seed "
                    "alone are one network."
                )
            found[column, t] = one
    return found


def _there(values: pd.Series | None, column: str, table: pd.DataFrame) -> None:
    if values is not None and pd.api.types.is_numeric_dtype(values) and values.notna().any():
        return
    known = [name for name in table if pd.api.types.is_numeric_dtype(table[name]) and table[name].notna().any()]
    raise StoreError(f"No run has a number {column!r}; there are {', '.join(sorted(map(str, known)))}.")
