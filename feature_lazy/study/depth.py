"""How exponents of the feature regime go with the depth (Table 2, Fig. 7d): for tables of several L."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from feature_lazy.study.estimate import Estimate, estimate
from feature_lazy.study.exponents import slope
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.regimes import regimes
from feature_lazy.study.verdict import HEURISTIC, Expected, Reading, judged


@law("a(L) against 2L/(L+1)", paper=ARTICLE, where="Table 2", across="L")
def kernel_depth(table: pd.DataFrame) -> Reading:
    """The kernel change's exponents against the heuristic's: slope 1."""
    return _depths(table, "kernel_change", lambda depths: -2 * depths / (depths + 1))


@law("b(L) against 1/(L+1)", paper=ARTICLE, where="Table 2", across="L")
def weight_depth(table: pd.DataFrame) -> Reading:
    """The weight change's exponents against the heuristic's: slope 1."""
    return _depths(table, "weights/change", lambda depths: -1 / (depths + 1))


def _depths(table: pd.DataFrame, column: str, heuristic: Callable[[np.ndarray], np.ndarray]) -> Reading:
    """A line for each seed, put through its exponents at all L, so that what a seed does at every depth cancels."""
    depths = np.array(sorted(table["L"].unique()), dtype=float)
    on = f"L = {', '.join(f'{depth:g}' for depth in depths)}"
    found = _trend(table, column, heuristic(depths))
    return judged(Expected(1, HEURISTIC), found, on=on, lacks="seeds with a feature regime at two L")


def _trend(table: pd.DataFrame, column: str, heuristic: np.ndarray) -> Estimate | None:
    """Slope of the measured exponents, of each seed that has all of them, against ``heuristic`` (depths,)."""
    exponents = []
    for _, part in table.groupby("L"):
        ranges = regimes(part)
        found = {seed: slope(runs, column, ranges.feature) for seed, runs in part.groupby("seed")} if ranges else {}
        exponents.append({seed: one.value for seed, one in found.items() if one is not None})
    if not exponents:
        return None
    seeds = sorted(set.intersection(*map(set, exponents)))
    if not seeds or len(exponents) < 2:
        return None
    u = heuristic - heuristic.mean()
    trends = np.array([u @ [one[seed] for one in exponents] for seed in seeds]) / (u @ u)
    return estimate(lambda weights: weights @ trends / weights.sum(1), len(seeds))
