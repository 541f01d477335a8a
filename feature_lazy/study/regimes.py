"""Which √h·α belong to which regime, by a rule on the sweep's own kernel change."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_lazy.core.statistics import falls
from feature_lazy.settings.registry import of_kind
from feature_lazy.settings.scales import CROSSOVER
from feature_lazy.study.crossings import log_places
from feature_lazy.study.estimate import weighted_mean
from feature_lazy.study.grid import Grid

Between = tuple[float, float]

LAZY_FROM, FEATURE_TO, DEEP_TO = 10.0, 1 / 30, 1e-3
"""Bounds of the regimes over x*: by them the exponents have come near to those of far away."""
MIDDLE, MARGIN = -0.5, 0.25
"""Exponent of the middle regime, and how near to an exponent a local one has to be to count as it."""
HALF_DECADE = 3.0
NEAR, STEEPEST = 3.0, 2.0
"""How much less than x*/(√h·α) the kernel change is in the lazy regime, and the steepest exponent below x*."""
ABOVE = 1 + 1e-9
"""A value of the grid that lies on a bound is within it, whatever rounding has made of x*."""
ASSUMED: dict[str, Between] = {"feature": (0.0, CROSSOVER / 100 * ABOVE), "lazy": (CROSSOVER * 100 / ABOVE, np.inf)}
"""See ``range_of``: two decades from it."""


@dataclass(frozen=True)
class Regimes:
    """Ranges of √h·α, as (low, high); None where the sweep has no such regime.

    x* is √h·α at which the kernel change K is 1: the geometric mean over widths of ``crossing``. Of a grid that is all
    lazy it is taken to be 3·K·√h·α of the smallest √h·α, as K = 0.03 at 10 x* says, and of one that is all in the
    feature regime √K·√h·α of the largest, as no exponent is below −2 (2L/(L+1) of any depth). Both leave less than
    there may be.

    A middle regime (ReLU, Fig. 12) shows where the local exponent of the kernel change, between two neighbouring √h·α,
    is above −¾ at the first two √h·α that are ≥ 10 x*. It ends at x₂, where that falls through −¾. Then, on a finite
    probe, the last patterns stop to flip, and the exponent is below −1 for a while.

    Attributes:
        crossover: x*.
        feature: √h·α ≤ x*/30.
        deep: √h·α ≤ x*/1000, for what holds at √h·α ≪ 1.
        middle: 3 x* … x₂/3, with the smallest x₂ of all widths; None without such a regime.
        lazy: √h·α ≥ 10 x*; if there is a middle regime, from the first √h·α on after which all local exponents of all
            widths are within ¼ of −1.
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
    places = log_places(logs, 1.0, np.ones((1, logs.values.shape[2])))
    star = float(np.exp(np.nanmean(places))) if np.isfinite(places).any() else _beyond(logs)
    middle, lazy = _middle_and_lazy(logs, star)
    return Regimes(star, (0.0, FEATURE_TO * star * ABOVE), (0.0, DEEP_TO * star * ABOVE), middle, lazy)


def crossover(table: pd.DataFrame) -> float:
    """√h·α between the regimes: x*, or ``CROSSOVER`` where no kernel was measured."""
    found = regimes(table)
    return found.crossover if found else CROSSOVER


def _beyond(logs: Grid) -> float:
    """Where x* is taken to be of a grid that does not reach it; see ``Regimes``."""
    if np.nanmean(logs.values) < 0:
        return float(logs.x[0] * min(1.0, NEAR * np.exp(np.nanmean(logs.values[:, 0]))))
    return float(logs.x[-1] * max(1.0, np.exp(np.nanmean(logs.values[:, -1]) / STEEPEST)))


def _middle_and_lazy(logs: Grid, star: float) -> tuple[Between | None, Between | None]:
    low = LAZY_FROM * star / ABOVE
    part = logs.between(low, np.inf)
    curves = [_local_exponents(part.x, values) for values in part.values]
    curves = [(x, local) for x, local in curves if len(local) > 1 and local[0] > MIDDLE - MARGIN]
    if not curves:
        return None, (low, np.inf)
    turns = [falls(np.log(x[1:] * x[:-1]) / 2, local[None] - (MIDDLE - MARGIN))[0] for x, local in curves]
    # A width that never turns ends in its middle regime.
    high = float(np.exp(min(np.nan_to_num(turns, nan=np.inf)))) / HALF_DECADE
    starts = [_start(x, np.abs(local + 1) <= MARGIN) for x, local in curves]
    return (HALF_DECADE * star, high), ((max(starts), np.inf) if np.isfinite(starts).all() else None)


def _start(x: np.ndarray, lazy: np.ndarray) -> float:
    """First x (X,) from which on all intervals (X − 1,) are lazy; inf if the last is not."""
    others = np.flatnonzero(~lazy)
    if not len(others):
        return float(x[0])
    return float(x[others[-1] + 1]) if others[-1] + 1 < len(lazy) else float("inf")


def _local_exponents(x: np.ndarray, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """√h·α at which one width's (X, n) has values, and the exponents between neighbours, of means over seeds."""
    mean = weighted_mean(np.ones((1, logs.shape[1])), logs)[0]
    here = np.isfinite(mean)
    return x[here], np.diff(mean[here]) / np.diff(np.log(x[here]))


def range_of(table: pd.DataFrame, regime: str) -> tuple[Between | None, str]:
    """Where a regime is, and that in words.

    By the sweep's own kernel change; where none was measured, the regimes are assumed two decades from
    ``CROSSOVER``. Of an activation with a kink no lazy regime is assumed, which begins where a sweep's patterns stop
    to flip; a frozen kernel is lazy at every √h·α.

    Args:
        table: runs of one kind.
        regime: ``feature`` or ``lazy``.

    Returns:
        None and no words where it has no such regime.
    """
    if "dynamics" in table and (table["dynamics"] == "frozen_kernel").all():
        return ((0.0, np.inf), "all √hα, the kernel is frozen") if regime == "lazy" else (None, "")
    if (measured := regimes(table)) is not None:
        between = getattr(measured, regime)
        return between, words(between) if between else ""
    if regime == "lazy" and kinked(table):
        return None, ""
    between = ASSUMED[regime]
    return between, f"{words(between)}, assumed"


def kinked(table: pd.DataFrame) -> bool:
    """Whether some runs have an activation with a kink, as ReLU."""
    names = table["activation"].dropna().unique() if "activation" in table else ()
    return any(made is not None and not made.smooth for made in (of_kind("activation", name) for name in names))


def words(between: Between) -> str:
    """A range as a person writes it."""
    low, high = between
    if not np.isfinite(high):
        return f"√hα ≥ {low:.3g}"
    return f"√hα ≤ {high:.3g}" if low == 0 else f"√hα = {low:.3g} … {high:.3g}"
