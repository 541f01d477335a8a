"""How kernel, weights and half-loss time go with √h·α and h, where the boundary lies, and what collapses."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from feature_lazy.study.collapse import Collapse, collapse, rescaled
from feature_lazy.study.crossings import boundary_slope, crossings, shift
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import bend, slope, width_slope
from feature_lazy.study.grid import Grid
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.regimes import Between, Regimes, kinked, regimes, words
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS, HEURISTIC, Expected, Reading, in_words, judged

RESCALED_FROM = 0.1
"""√h·α above which test errors are compared (Fig. 3d)."""
TENTH = 0.1
"""Widths also count as collapsed if √h·α leaves a tenth of the distance that they have against α: the law is one of
leading order, and many seeds show what is beyond."""
DEEP_FROM = 10.0
"""√h·α over that at which the second order in 1/α is as large as the first, from which on it is a tenth."""
BOUNDARY = "α* against h"
KERNEL = ("kernel_change",)


@law("kernel change, lazy exponent", paper=ARTICLE, where="Fig. 5a", needs=KERNEL)
def kernel_lazy(table: pd.DataFrame) -> Reading:
    """−1 in √h·α."""
    return _exponent(table, "kernel_change", "lazy", -1)


@law("kernel change, feature exponent", paper=ARTICLE, where="Fig. 5a, eq. 24", needs=KERNEL)
def kernel_feature(table: pd.DataFrame) -> Reading:
    """−2L/(L + 1), a heuristic."""
    depth = _depth(table)
    return _exponent(table, "kernel_change", "feature", Expected(-2 * depth / (depth + 1), HEURISTIC))


@law("kernel change, middle exponent", paper=ARTICLE, where="Fig. 12", needs=KERNEL)
def kernel_middle(table: pd.DataFrame) -> list[Reading]:
    """−½ between the regimes; said of ReLU and what has a kink as it, and where there is such a regime."""
    ranges = regimes(table)
    return [_exponent(table, "kernel_change", "middle", -0.5)] if kinked(table) or (ranges and ranges.middle) else []


@law("weight change, lazy exponent", paper=ARTICLE, where="Fig. 9", needs=KERNEL)
def weights_lazy(table: pd.DataFrame) -> Reading:
    """−1 in √h·α."""
    return _exponent(table, "weights/change", "lazy", -1)


@law("weight change, feature exponent", paper=ARTICLE, where="Fig. 9, eq. 30", needs=KERNEL)
def weights_feature(table: pd.DataFrame) -> Reading:
    """−1/(L + 1), a heuristic."""
    return _exponent(table, "weights/change", "feature", Expected(-1 / (_depth(table) + 1), HEURISTIC))


@law("half-loss time, feature exponent", paper=ARTICLE, where="Fig. 5b", needs=(*KERNEL, "t_half"))
def half_time_feature(table: pd.DataFrame) -> Reading:
    """1 in √h·α."""
    return _exponent(table, "t_half", "feature", 1)


@law("half-loss time, lazy exponent", paper=ARTICLE, where="Fig. 5b", needs=(*KERNEL, "t_half"))
def half_time_lazy(table: pd.DataFrame) -> Reading:
    """0 in √h·α."""
    return _exponent(table, "t_half", "lazy", 0)


def _depth(table: pd.DataFrame) -> float:
    return float(table["L"].iloc[0]) if "L" in table else np.nan  # missing too where layers are not known


def _exponent(table: pd.DataFrame, column: str, regime: str, expected: Expected | float) -> Reading:
    ranges = regimes(table)
    between: Between | None = getattr(ranges, regime)
    if between is None:
        return judged(expected, None, lacks=f"a {regime} regime, which the kernel change does not show")
    found, bends = slope(table, column, between), bend(table, column, between)
    on, lacks = words(between), f"two values of √hα with {words(between)}"
    if isinstance(expected, Expected) and np.isnan(expected.value):
        text = in_words(found) if found else f"needs {lacks}"
        return Reading("depends on L, which is not known", text, CANNOT_TELL, found, where=on)
    return judged(expected, found, on=on, bends=bends, lacks=lacks)


@law("kernel change against h, lazy", paper="1909.11304", where="O₃ ~ 1/h, to first order in 1/α", needs=KERNEL)
def kernel_width_lazy(table: pd.DataFrame) -> Reading:
    """−½ at fixed √h·α deep in the lazy regime.

    To first order in 1/α each neuron's share of the change has the sign of its last weight, so that shares add up to
    1/√h of their number: A/(h·α). To second order all have one sign: B/(√h·α)². At fixed √h·α the first falls as h^−½,
    and rules far above √h·B/A; the second makes the change 1 at one √h·α for every h (``boundary``).
    """
    ranges = regimes(table)
    return _against_width(table, _deep(table, ranges) if ranges else None, -0.5, "lazy")


@law("kernel change against h, feature", paper=ARTICLE, where="Fig. 5a", needs=KERNEL)
def kernel_width_feature(table: pd.DataFrame) -> Reading:
    """0 at fixed √h·α: widths collapse."""
    ranges = regimes(table)
    return _against_width(table, ranges.feature if ranges else None, 0, "feature")


def _against_width(table: pd.DataFrame, between: Between | None, expected: float, regime: str) -> Reading:
    found = width_slope(table, "kernel_change", between) if between else None
    lacks = f"a kernel change at two widths deep in the {regime} regime"
    if between and regime == "lazy":
        lacks += f", {words(between)}"
    return judged(expected, found, on=words(between) if between else "", lacks=lacks)


def _deep(table: pd.DataFrame, ranges: Regimes) -> Between | None:
    """Where the first order rules at every width: √h·α ≥ 10·√h·B/A, with A from the largest √h·α and B from x*.

    The change is 1 at x*, so x*² = x*·A/√h + B, and A/√h is √h·α times the change far above.
    """
    if ranges.lazy is None:
        return None
    logs, star = Grid.of(table, "kernel_change").log(), ranges.crossover
    low = ranges.lazy[0]
    for values in logs.values:
        known = np.isfinite(values).any(1)
        first = float(logs.x[known][-1] * np.exp(np.nanmean(values[known][-1])))
        low = max(low, DEEP_FROM * star * (star / first - 1))
    return low, np.inf


@law("kernel change = 1", paper=ARTICLE, where="Fig. 5a; √hα there", needs=KERNEL)
def boundary(table: pd.DataFrame) -> Iterator[Reading]:
    """√h·α at which the kernel change is 1, the same for every h: each width's against the mean over widths."""
    found = crossings(table, "kernel_change", 1.0)
    for h, place in found.items():
        moved = shift(table, "kernel_change", 1.0, h) if len(found) > 1 else Estimate(0.0, np.nan)
        verdict = judged(0, moved).verdict
        yield Reading("the same for all h", in_words(place), verdict, place, name=f"kernel change = 1, h = {h}")


@law(
    BOUNDARY,
    paper=ARTICLE,
    where="Fig. 3c–d; kernel change = 1",
    needs=KERNEL,
    expected=-0.5,
    lacks="a kernel change through 1 at two widths",
)
def boundary_exponent(table: pd.DataFrame) -> Estimate | None:
    """−½."""
    return boundary_slope(table, "kernel_change", 1.0)


@law("collapse of kernel change", paper=ARTICLE, where="Fig. 5a")
def collapse_of_kernel(table: pd.DataFrame) -> Reading:
    """Where the second order in 1/α rules or more; far above, widths part (``kernel_width_lazy``)."""
    ranges = regimes(table)
    if ranges is None or ranges.lazy is None:
        return _collapse(Grid.of(table, "kernel_change").log())
    below = 0.0, ranges.lazy[0]
    return _collapse(Grid.of(table, "kernel_change").log().between(*below), words(below))


@law("collapse of √h × weight change", paper=ARTICLE, where="Fig. 9")
def collapse_of_weights(table: pd.DataFrame) -> Reading:
    """Against √h·α."""
    change = table.get("weights/change", np.nan)
    return _collapse(Grid.of(table.assign(scaled=np.sqrt(table[H]) * change), "scaled").log())


@law("collapse of half-loss time", paper=ARTICLE, where="Fig. 5b", needs=("t_half",))
def collapse_of_half_time(table: pd.DataFrame) -> Reading:
    """Against √h·α."""
    return _collapse(Grid.of(table, "t_half").log())


@law("collapse of test error, rescaled", paper=ARTICLE, where="Fig. 3c–d")
def collapse_of_error(table: pd.DataFrame) -> Reading:
    """Against √h·α, each width's curve stretched to [0, 1]."""
    return _collapse(rescaled(table, "test/error", RESCALED_FROM))


def _collapse(grid: Grid, on: str = "against √hα, all h") -> Reading:
    with_x, with_alpha = collapse(grid), collapse(grid, against_alpha=True)
    if with_x is None or with_alpha is None:
        return Reading("1", "needs two widths with three or more √hα in common", CANNOT_TELL, where=on)
    text = (
        f"{with_x.quality:.2g} (apart by {with_x.spread:.2g}), "
        f"against α {with_alpha.quality:.2g} (by {with_alpha.spread:.2g})"
    )
    found = Estimate(with_x.quality, np.nan, grid.values.shape[2])
    expected = f"1, by chance up to {with_x.reference:.2g}"
    if np.isnan(with_x.reference):
        expected, text = "1", f"{text}; one seed: no scatter to compare with"
    return Reading(expected, text, _collapse_verdict(with_x, with_alpha), found, 1.0, where=on)


def _collapse_verdict(with_x: Collapse, with_alpha: Collapse) -> str:
    """It agrees if √h·α brings widths together and α does not; seeds that hide both cannot tell."""
    if np.isnan(with_x.quality) or with_alpha.collapsed:
        return CANNOT_TELL
    return AGREES if with_x.collapsed or with_x.spread <= TENTH * with_alpha.spread else DIFFERS


@law("√hα × preactivation speed", paper=ARTICLE, where="Fig. 11, eq. 22")
def preactivations(table: pd.DataFrame) -> Iterator[Reading]:
    """‖ż‖ ~ 1/(α√h) at t = 0 in every hidden layer: √h·α·‖ż‖ has exponent 0 in h.

    In α it is exact by definition, so runs of all α count as one. The last weight's z is the output, of which Fig. 11
    says nothing.
    """
    columns = [name for name in table if name.startswith("preactivations/") and name.endswith("/speed")]
    columns = sorted((name for name in columns if table[name].notna().any()), key=lambda name: (len(name), name))
    for column in columns[:-1]:
        scaled = table.assign(speed=table[column] * table[X]).assign(**{X: 1.0})
        found = width_slope(scaled, "speed", (0.0, np.inf))
        name = f"√hα × preactivation speed in {column.split('/')[1]} against h"
        yield judged(0, found, name=name, on="all √hα", lacks="two widths")
