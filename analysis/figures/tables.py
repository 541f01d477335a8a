"""Tables 1 and 2, as figures of text with their numbers as CSV."""

import numpy as np
import pandas as pd

from analysis.figures.panels import ERROR, X
from analysis.figures.performance import begin, kind
from analysis.figures.source import Source, flows
from feature_lazy.study.ahead import TRAINED, UNFIT, Lead, expected_ahead, lead
from feature_lazy.study.exponents import slope
from feature_lazy.study.figures.sheet import WIDTH, Sheet
from feature_lazy.study.regimes import crossover, regimes
from feature_lazy.study.table import over_seeds

HINTING = 1.06
"""How much wider text is at another resolution at most, and so a table whose columns follow its text."""


def table1(source: Source) -> Sheet:
    """Which regime is ahead, for each data set and network: the least test error of either."""
    sheet, table = begin(
        "table1", {"a": "least test error over α, mean of the seeds"}, source, unfit=UNFIT, columns=1, height=1.0
    )
    table = table[table["dynamics"].isin(TRAINED)]
    columns = ("data", "network", "dynamics", "feature", "lazy", "ahead", "article")
    rows = []
    keys = ["dataset", "architecture", "L", "activation", "dynamics", "P"]
    for (data, network, depth, activation, dynamics, p), group in table.groupby(keys, dropna=False):
        own = kind(sheet, f"{data}, {network}", group)
        star = crossover(own)
        feature, lazy = (_least(part) for part in (own[own[X] < star], own[own[X] >= star]))
        known = (*([activation] if pd.notna(activation) else []), *([f"L = {depth:g}"] if pd.notna(depth) else []))
        name = ", ".join([network, *known])  # nothing of what an own network does not say
        for regime, found in (("feature", feature), ("lazy", lazy)):
            if found is None:
                sheet.note(
                    f"{data}, {network}: no run in the {regime} regime "
                    f"(√hα {'<' if regime == 'feature' else '≥'} {star:.3g})."
                )
            else:
                sheet.record("a", f"{data}, P = {p}, {name}, {dynamics}", found[0], found[1], found[2], regime)
        rows.append(
            (
                f"{data}, P = {p}",
                name,
                dynamics,
                _text(feature),
                _text(lazy),
                _ahead(lead(own)),
                expected_ahead(own) or "–",
            )
        )
    write(sheet, columns, rows)
    return sheet


def _least(table: pd.DataFrame) -> tuple[float, float, float] | None:
    """√h·α of the least mean test error, that error, and its standard error."""
    means = over_seeds(table, ERROR)
    if not len(means):
        return None
    best = means.loc[means["mean"].idxmin()]
    return best[X], best["mean"], best["sem"] if best["n"] > 1 else np.nan


def _text(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "–"
    return f"{100 * found[1]:.2f}" + (f" ± {100 * found[2]:.2f}" if np.isfinite(found[2]) else "") + " %"


def _ahead(found: Lead | None) -> str:
    """Which is ahead, by more than the error bar of the difference."""
    if found is None:
        return "–"
    better = "feature" if found.difference.value < 0 else "lazy"
    if not np.isfinite(found.difference.error):
        return f"{better} (one seed)"
    return found.winner or "neither, within the error"


def table2(source: Source) -> Sheet:
    """Exponents of kernel and weight change in both regimes, beside the heuristic's."""
    sheet, table = begin("table2", {"a": "exponents of √hα"}, source, columns=1, height=1.0)
    table, rows = flows(table), []
    for depth, group in table.dropna(subset=["L"]).groupby("L"):
        own = kind(sheet, f"L = {depth:g}", group)
        found_regimes = regimes(own)
        expected = {
            ("kernel change", "kernel_change", "feature"): -2 * depth / (depth + 1),
            ("kernel change", "kernel_change", "lazy"): -1.0,
            ("weight change", "weights/change", "feature"): -1 / (depth + 1),
            ("weight change", "weights/change", "lazy"): -1.0,
        }
        for (name, column, regime), theory in expected.items():
            between = getattr(found_regimes, regime) if found_regimes else None
            found = slope(own, column, between) if between else None
            if found is None:
                sheet.note(f"L = {depth:g}: no two √hα for the {name} in the {regime} regime.")
                continue
            sheet.record(
                "a", f"L = {depth:g}, {name}, {regime}", depth, found.value, found.error, f"theory {theory:.3f}"
            )
            rows.append((f"{depth:g}", name, regime, str(found).replace("-", "−"), f"{theory:.2f}".replace("-", "−")))
    write(sheet, ("L", "of", "regime", "measured", "heuristic"), rows)
    return sheet


def write(sheet: Sheet, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Set the table in the only panel, and make the figure as high as it is."""
    if not rows:
        return
    axes = sheet.axes["a"]
    axes.set_axis_off()
    grid = axes.table(rows, colLabels=columns, loc="upper left", cellLoc="left", edges="horizontal")
    grid.auto_set_font_size(False)
    grid.set_fontsize(6)
    grid.auto_set_column_width(range(len(columns)))
    figure, height = sheet.figure, 0.65 + 0.25 * len(rows)
    figure.set_size_inches(WIDTH, height)
    figure.draw_without_rendering()  # columns are as wide as what is in them only then
    right = HINTING * grid.get_window_extent().x1 / figure.dpi
    figure.set_size_inches(max(WIDTH, right), height)
