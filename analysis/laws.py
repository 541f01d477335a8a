"""The laws of the article that a sweep can show, each with its error and a verdict."""

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.collapse import Collapse, collapse, rescaled
from analysis.crossings import boundary_slope, crossings, shift
from analysis.depth import depth_laws
from analysis.ensemble_laws import ensemble_laws, pattern_law
from analysis.estimate import Estimate
from analysis.exponents import bend, slope, width_slope
from analysis.grid import Grid
from analysis.growth import growth_laws
from analysis.regimes import Between, Regimes, regimes, words
from analysis.sweep import H, X
from analysis.verdict import AGREES, CANNOT_TELL, DIFFERS, HEURISTIC, Expected, Law, in_words, judged

COLUMNS = ("kernel_change", "weights/change", "t_half", "test/error", "L", "activation")
RESCALED_FROM = 0.1
"""√h·α above which test errors are compared (Fig. 3d)."""
TENTH = 0.1
"""Widths also count as collapsed if √h·α leaves a tenth of the distance that they have against α: the law is one of
leading order, and many seeds show what is beyond."""


def laws(table: pd.DataFrame) -> list[Law]:
    """What the sweep says about the laws of the article; what its grid cannot show is there too, with what it lacks.

    Runs that did not converge are left out: their last values are no values at the end of training. The ranges of
    √h·α are those of ``regimes``. A table of several depths or numbers of training patterns (``read(…, mixed=("L",))``)
    has each law for each of them, and those that join them.
    """
    table = converged(table)
    for column, joint in (("L", depth_laws), ("P", lambda all_p: [pattern_law(all_p)])):
        if column in table and table[column].nunique() > 1:
            groups = table.groupby(column)
            rows = [
                replace(law, name=f"{law.name}, {column} = {value:g}") for value, part in groups for law in laws(part)
            ]
            return [*rows, *joint(table)]
    scaled = table.assign(scaled_weights=np.sqrt(table[H]) * table["weights/change"])
    ranges = regimes(table)
    return [
        *_exponents(scaled, ranges),
        *_prefactors(table, ranges),
        *_boundary(table),
        *_collapses(scaled),
        *_preactivations(table),
        *growth_laws(table, ranges),
        *ensemble_laws(table),
    ]


def converged(table: pd.DataFrame) -> pd.DataFrame:
    """The runs that fit all patterns, with every column that laws read: without values where runs have none."""
    table = table[table["outcome"] == "converged"]
    return table.assign(**{name: np.nan for name in COLUMNS if name not in table})


def _exponents(table: pd.DataFrame, ranges: Regimes | None) -> list[Law]:
    depth = table["L"].iloc[0] if len(table) else np.nan  # missing for a network whose layers are not known
    kernel, weights = Expected(-2 * depth / (depth + 1), HEURISTIC), Expected(-1 / (depth + 1), HEURISTIC)
    rows = [
        ("kernel change, lazy exponent", "Fig. 5a", Expected(-1), "kernel_change", "lazy"),
        ("kernel change, feature exponent", "Fig. 5a, eq. 24", kernel, "kernel_change", "feature"),
        ("kernel change, middle exponent", "Fig. 12", Expected(-0.5), "kernel_change", "middle"),
        ("weight change, lazy exponent", "Fig. 9", Expected(-1), "weights/change", "lazy"),
        ("weight change, feature exponent", "Fig. 9, eq. 30", weights, "weights/change", "feature"),
        ("half-loss time, feature exponent", "Fig. 5b", Expected(1), "t_half", "feature"),
        ("half-loss time, lazy exponent", "Fig. 5b", Expected(0), "t_half", "lazy"),
    ]
    relu = len(table) and table["activation"].iloc[0] == "relu"
    shown = [row for row in rows if row[-1] != "middle" or relu or (ranges and ranges.middle)]
    return [_exponent(table, *row[:4], getattr(ranges, row[4], None), row[4]) for row in shown]


def _exponent(
    table: pd.DataFrame, name: str, where: str, expected: Expected, column: str, between: Between | None, regime: str
) -> Law:
    if between is None:
        known = np.isfinite(table["kernel_change"]).any()
        lacks = f"a {regime} regime, which the kernel change does not show" if known else "a kernel change"
        return judged(name, where, expected, None, lacks=lacks)
    found, bends = slope(table, column, between), bend(table, column, between)
    where, lacks = f"{where}; {words(between)}", f"two values of √hα with {words(between)}"
    if np.isnan(expected.value):
        text = in_words(found) if found else f"needs {lacks}"
        return Law(name, where, "depends on L, which is not known", text, CANNOT_TELL, found)
    return judged(name, where, expected, found, bends=bends, lacks=lacks)


def _prefactors(table: pd.DataFrame, ranges: Regimes | None) -> list[Law]:
    """How the kernel change goes with h at fixed √h·α: not at all where it collapses (Fig. 5a)."""
    rows = []
    for regime in ("lazy", "feature"):
        between = getattr(ranges, regime, None)
        found = width_slope(table, "kernel_change", between) if between else None
        where = "Fig. 5a" + (f"; {words(between)}" if between else "")
        lacks = f"a kernel change at two widths in the {regime} regime"
        rows.append(judged(f"kernel change against h, {regime}", where, Expected(0), found, lacks=lacks))
    return rows


def _boundary(table: pd.DataFrame) -> list[Law]:
    """Kernel change = 1: where for each width, against the mean over widths; and how α* goes with h."""
    rows, found = [], crossings(table, "kernel_change", 1.0)
    for h, place in found.items():
        moved = shift(table, "kernel_change", 1.0, h) if len(found) > 1 else Estimate(0.0, np.nan)
        law = judged(f"kernel change = 1, h = {h}", "Fig. 5a; √hα of it", Expected(0), moved)
        rows.append(Law(law.name, law.where, "the same for all h", in_words(place), law.verdict, place))
    exponent, lacks = boundary_slope(table, "kernel_change", 1.0), "a kernel change through 1 at two widths"
    return [*rows, judged("α* against h", "Fig. 3c–d; kernel change = 1", Expected(-0.5), exponent, lacks=lacks)]


def _collapses(table: pd.DataFrame) -> list[Law]:
    logs = {
        "kernel change": ("Fig. 5a", Grid.of(table, "kernel_change").log()),
        "√h × weight change": ("Fig. 9", Grid.of(table, "scaled_weights").log()),
        "half-loss time": ("Fig. 5b", Grid.of(table, "t_half").log()),
        "test error, rescaled": ("Fig. 3c–d", rescaled(table, "test/error", RESCALED_FROM)),
    }
    return [
        _collapse(f"collapse of {name}", f"{figure}; against √hα, all h", grid) for name, (figure, grid) in logs.items()
    ]


def _collapse(name: str, where: str, grid: Grid) -> Law:
    with_x, with_alpha = collapse(grid), collapse(grid, against_alpha=True)
    if with_x is None or with_alpha is None:
        return Law(name, where, "1", "needs two widths with three or more √hα in common", CANNOT_TELL)
    text = (
        f"{with_x.quality:.2g} (apart by {with_x.spread:.2g}), "
        f"against α {with_alpha.quality:.2g} (by {with_alpha.spread:.2g})"
    )
    found = Estimate(with_x.quality, np.nan, grid.values.shape[2])
    expected = f"1, by chance up to {with_x.reference:.2g}"
    if np.isnan(with_x.reference):
        expected, text = "1", f"{text}; one seed: no scatter to compare with"
    return Law(name, where, expected, text, _collapse_verdict(with_x, with_alpha), found, 1.0)


def _collapse_verdict(with_x: Collapse, with_alpha: Collapse) -> str:
    """It agrees if √h·α brings widths together and α does not; seeds that hide both cannot tell."""
    if np.isnan(with_x.quality) or with_alpha.collapsed:
        return CANNOT_TELL
    return AGREES if with_x.collapsed or with_x.spread <= TENTH * with_alpha.spread else DIFFERS


def _preactivations(table: pd.DataFrame) -> list[Law]:
    """‖ż‖ ~ 1/(α√h) at t = 0 in every hidden layer: √h·α·‖ż‖ has exponent 0 in h.

    In α it is exact by definition, so runs of all α count as one. The last weight's z is the output, of which Fig. 11
    says nothing.
    """
    columns = [name for name in table if name.startswith("preactivations/") and name.endswith("/speed")]
    columns = sorted((name for name in columns if table[name].notna().any()), key=lambda name: (len(name), name))
    rows = []
    for column in columns[:-1]:
        scaled = table.assign(speed=table[column] * table[X]).assign(**{X: 1.0})
        found = width_slope(scaled, "speed", (0.0, np.inf))
        name = f"√hα × preactivation speed in {column.split('/')[1]} against h"
        rows.append(judged(name, "Fig. 11, eq. 22; all √hα", Expected(0), found, lacks="two widths"))
    return rows
