"""How exponents of the feature regime go with the depth (Table 2, Fig. 7d): for tables of several L."""

import numpy as np
import pandas as pd

from analysis.estimate import Estimate, estimate
from analysis.exponents import slope
from analysis.regimes import regimes
from analysis.verdict import HEURISTIC, Expected, Law, judged


def depth_laws(table: pd.DataFrame) -> list[Law]:
    """Exponents of kernel and weight change against those of the heuristics, 2L/(L+1) and 1/(L+1): slope 1.

    Of each seed a line is put through its exponents at all L, so that what a seed does at every depth cancels.
    """
    depths = np.array(sorted(table["L"].unique()), dtype=float)
    shown = f"L = {', '.join(f'{depth:g}' for depth in depths)}"
    kernel = _trend(table, "kernel_change", -2 * depths / (depths + 1))
    weights = _trend(table, "weights/change", -1 / (depths + 1))
    lacks = "seeds with a feature regime at two L"
    return [
        judged("a(L) against 2L/(L+1)", f"Table 2; {shown}", Expected(1, HEURISTIC), kernel, lacks=lacks),
        judged("b(L) against 1/(L+1)", f"Table 2; {shown}", Expected(1, HEURISTIC), weights, lacks=lacks),
    ]


def _trend(table: pd.DataFrame, column: str, heuristic: np.ndarray) -> Estimate | None:
    """Slope of the measured exponents, of each seed that has all of them, against ``heuristic`` (depths,)."""
    exponents = []
    for _, part in table.groupby("L"):
        ranges = regimes(part)
        found = {seed: slope(runs, column, ranges.feature) for seed, runs in part.groupby("seed")} if ranges else {}
        exponents.append({seed: one.value for seed, one in found.items() if one is not None})
    seeds = sorted(set.intersection(*map(set, exponents)))
    if not seeds or len(exponents) < 2:
        return None
    u = heuristic - heuristic.mean()
    trends = np.array([u @ [one[seed] for one in exponents] for seed in seeds]) / (u @ u)
    return estimate(lambda weights: weights @ trends / weights.sum(1), len(seeds))
