"""Exponents and crossings, with their uncertainty from the seeds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.sweep import H, X

LAZY = (1e3, np.inf)
"""Range of √h·α in which the lazy exponents are fitted: two decades above the crossover at √h·α ≈ 10."""
FEATURE = (0.99e-3, 1.01e-1)
"""Range of √h·α in which the feature exponents are fitted: 1e-3 … 1e-1, two decades below the crossover."""


@dataclass(frozen=True)
class Estimate:
    """A number and its standard error over seeds; NaN where there is one seed."""

    value: float
    error: float

    def __str__(self) -> str:
        """Three decimals, with the error if there is one."""
        return f"{self.value:.3f}" + (f" ± {self.error:.3f}" if np.isfinite(self.error) else "")


def slope(table: pd.DataFrame, column: str, between: tuple[float, float]) -> Estimate | None:
    """Exponent of ``column`` ~ (√h·α)^s over a range, one intercept for each width and seed.

    Runs that share a seed share their initial weights, so their difference over α is the cleanest slope.

    Returns:
        None if the range holds fewer than two values of √h·α.
    """
    low, high = between
    part = table[(table[X] >= low) & (table[X] <= high) & (table[column] > 0)]
    if part[X].nunique() < 2:
        return None

    def fit(sample: pd.DataFrame) -> float:
        x, y = np.log(sample[X]), np.log(sample[column])
        groups = [sample[H], sample["seed"]]
        dx, dy = x - x.groupby(groups).transform("mean"), y - y.groupby(groups).transform("mean")
        return float((dx * dy).sum() / (dx * dx).sum())

    return _jackknife(part, fit)


def crossing(table: pd.DataFrame, column: str, level: float) -> Estimate | None:
    """√h·α at which the mean of log ``column`` over seeds first falls through ``level``, linear in logarithms.

    Returns:
        None if it does not fall through.
    """

    def fit(sample: pd.DataFrame) -> float:
        curve = np.log(sample[sample[column] > 0].set_index(X)[column]).groupby(level=0).mean() - np.log(level)
        x, y = np.log(curve.index.to_numpy()), curve.to_numpy()
        below = np.flatnonzero((y[:-1] > 0) & (y[1:] <= 0))
        if not len(below):
            return float("nan")
        i = below[0]
        return float(np.exp(x[i] + y[i] * (x[i + 1] - x[i]) / (y[i] - y[i + 1])))

    estimate = _jackknife(table, fit)
    return estimate if np.isfinite(estimate.value) else None


def _jackknife(table: pd.DataFrame, fit: Callable[[pd.DataFrame], float]) -> Estimate:
    """The fit of all runs, and its standard error from leaving out one seed at a time (Efron and Stein, 1981)."""
    seeds = table["seed"].unique()
    if len(seeds) < 2:
        return Estimate(fit(table), float("nan"))
    without = np.array([fit(table[table["seed"] != seed]) for seed in seeds])
    n = len(seeds)
    return Estimate(fit(table), float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())))


@dataclass(frozen=True)
class Law:
    """A law of the article as this sweep shows it."""

    name: str
    where: str
    expected: str
    measured: str


def laws(table: pd.DataFrame) -> list[Law]:
    """What the sweep says about the laws of the article that its grid can show (spec §5)."""
    depth = table["L"].iloc[0]  # missing for a network whose layers are not known
    heuristic = f"{-2 * depth / (depth + 1):.2g} (heuristic) … " if pd.notna(depth) else ""
    rows: list[Law] = []

    def add(name: str, where: str, expected: str, estimate: Estimate | None) -> None:
        if estimate is not None:
            rows.append(Law(name, where, expected, str(estimate)))

    add("kernel change, lazy exponent", "Fig. 5a", "-1", slope(table, "kernel_change", LAZY))
    feature = f"{heuristic}-1.6"
    add("kernel change, feature exponent", "Fig. 5a, eq. 24", feature, slope(table, "kernel_change", FEATURE))
    add("weight change, lazy exponent", "Fig. 9", "-1", slope(table, "weights/change", LAZY))
    add("weight change, feature exponent", "Fig. 9, eq. 30", "-0.23 … -0.30", slope(table, "weights/change", FEATURE))
    add("half-loss time, feature exponent", "Fig. 5b", "1", slope(table, "t_half", FEATURE))
    for h, group in table.groupby(H):
        add(f"kernel change = 1, h = {h}", "Fig. 5a", "√hα = 8 … 15, no h", crossing(group, "kernel_change", 1.0))
    return rows
