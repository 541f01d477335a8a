"""Which √h·α belong to which regime, by a rule on the sweep's own kernel change."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.crossings import crossings, falls
from analysis.estimate import weighted_mean
from analysis.grid import Grid

Between = tuple[float, float]

LAZY_FROM, FEATURE_TO, DEEP_TO = 10.0, 1 / 30, 1e-3
"""Bounds of the regimes over x*: by them the exponents have come near to those of far away."""
TURN = -0.75
"""Local exponent half way between the middle regime of ReLU and the lazy one."""


@dataclass(frozen=True)
class Regimes:
    """Ranges of √h·α, as (low, high); None where the sweep has no such regime.

    x* is √h·α at which the kernel change is 1: the geometric mean over widths of ``crossing``. If the kernel change is
    above 1 on the whole grid, x* is beyond its end, which is then taken, and likewise below: both leave less.

    Attributes:
        crossover: x*.
        feature: √h·α ≤ x*/30.
        deep: √h·α ≤ x*/1000, for what holds at √h·α ≪ 1.
        middle: 10 x* … x₂/10, where the local exponent of the kernel change falls through −¾ at x₂, the smallest of all
            widths; only if it starts above. ReLU has it (Fig. 12), smooth activations do not.
        lazy: √h·α ≥ 10 x*, or ≥ 10 x₂, the largest of all widths.
    """

    crossover: float
    feature: Between
    deep: Between
    middle: Between | None
    lazy: Between | None


def regimes(table: pd.DataFrame) -> Regimes | None:
    """The regimes of a sweep; None if its kernel was not measured."""
    logs = Grid.of(table, "kernel_change").log()
    if not logs.values.size:
        return None
    found = crossings(table, "kernel_change", 1.0)
    if found:
        star = float(np.exp(np.mean([np.log(place.value) for place in found.values()])))
    else:
        star = float(logs.x[0] if np.nanmean(logs.values) < 0 else logs.x[-1])
    turns = _turns(logs, LAZY_FROM * star)
    middle: Between | None = None
    lazy: Between | None = (LAZY_FROM * star, np.inf)
    if turns.size:
        middle = (LAZY_FROM * star, float(np.nanmin(turns)) / 10)
        lazy = (10 * float(turns.max()), np.inf) if np.isfinite(turns).all() else None
    return Regimes(star, (0.0, FEATURE_TO * star), (0.0, DEEP_TO * star), middle, lazy)


def _turns(logs: Grid, low: float) -> np.ndarray:
    """√h·α at which each width's local exponent falls through −¾, inf if it does not; of widths that start above."""
    part = logs.between(low, np.inf)
    x, places = np.log(part.x), []
    for curve in part.values:
        mean = weighted_mean(np.ones((1, curve.shape[1])), curve)[0]
        here = np.isfinite(mean)
        local = np.diff(mean[here]) / np.diff(x[here])
        if len(local) > 1 and local[0] > TURN:
            middles = (x[here][1:] + x[here][:-1]) / 2
            place = falls(middles, local[None] - TURN)[0]
            places.append(np.exp(place) if np.isfinite(place) else np.inf)
    return np.array(places)


def words(between: Between) -> str:
    """A range as a person writes it."""
    low, high = between
    if not np.isfinite(high):
        return f"√hα ≥ {low:.3g}"
    return f"√hα ≤ {high:.3g}" if low == 0 else f"√hα = {low:.3g} … {high:.3g}"
