"""Any column of any runs against any other: what the command ``feature-lazy plot`` draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from feature_lazy.core.errors import StoreError
from feature_lazy.core.tables import csv_of
from feature_lazy.measure.quantity import Quantity, quantity_of
from feature_lazy.runs.sweep import Sweep, load_sweep
from feature_lazy.study.figures.axes import beside, percent, tidy
from feature_lazy.study.figures.pgf import save_pgf
from feature_lazy.study.figures.saving import DIGITS, save_bytes, save_figure
from feature_lazy.study.figures.style import SQRT_H_ALPHA, legend, look, sized
from feature_lazy.study.filters import column, filtered
from feature_lazy.study.table import differences, with_runs

T, FOLDER, SEED = "t", "folder", "seed"
AXES = {"sqrt_h_alpha": SQRT_H_ALPHA, "h": "width h", "alpha": "output scale α", T: "training time t"}
"""Labels of columns that are no quantities; all of them are drawn in logarithms."""
SYMBOLS = {"sqrt_h_alpha": SQRT_H_ALPHA, "alpha": "α"}
"""Of columns that tell lines apart."""
MARKERS = 12
"""Most markers of a line: one at each of a hundred observations hides it."""
SCALES = ("h", "alpha", "sqrt_h_alpha")
CENTRES = ("mean", "median")
SPREADS = ("sem", "sd", "quartiles")
EACH = "none"
LOGS = ("x", "y", "xy", EACH)
SCRIPT_L = ("𝓛", r"$\mathcal{L}$")
"""Fonts lack the letter, and mathematics has it."""
FORMATS = (".pdf", ".png", ".svg", ".pgf", ".csv")


@dataclass(frozen=True)
class Wanted:
    """What is drawn.

    Attributes:
        x: a column, a key of the configuration such as ``dynamics.lr``, or ``t``.
        y: a column.
        by: columns or keys that make a line each.
        where: rules such as ``L=3`` or ``seed=0,1``.
        log: which axes are logarithmic, of ``x`` and ``y``; None: those of the quantities.
        centre: ``mean`` or ``median`` over runs that differ in their seed alone; ``none``: each run is a point.
        spread: of the error bars: ``sem``, ``sd`` or ``quartiles``; empty: there are none.
    """

    x: str
    y: str
    by: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    log: str | None = None
    centre: str = "mean"
    spread: str = "sem"

    @classmethod
    def reduced(cls, how: str, **rest: Any) -> "Wanted":
        """With the words of ``reduce``, such as ``mean,sem``.

        Raises:
            StoreError: other words, there or for ``log``.
        """
        if rest.get("log") not in (None, *LOGS):
            raise StoreError(f"log {rest['log']}: write one of {', '.join(LOGS)}.")
        centre, _, spread = how.partition(",")
        if (centre, spread) != (EACH, "") and (centre not in CENTRES or spread not in ("", *SPREADS)):
            raise StoreError(
                f"reduce {how}: write {EACH}, or one of {', '.join(CENTRES)} and one of {', '.join(SPREADS)}, such "
                "as mean,sem."
            )
        return cls(centre=centre, spread=spread, **rest)


def rows(folders: Mapping[str, Path | Sweep], wanted: Wanted) -> tuple[pd.DataFrame, dict[str, Quantity]]:
    """What is drawn, point by point: columns ``by``, ``x``, ``y``, ``low``, ``high``, ``n``; and what quantities are.

    Args:
        folders: results folders, or sweeps that are read, by label; more than one make lines of their own, in
            column ``folder``.
        wanted: see there.

    Raises:
        StoreError: a folder without complete runs, a column that no run has or that is no number, no run that passes
            all filters, or runs in one point that differ in more than their seed.
    """
    parts, known = [], {}
    for label, folder in folders.items():
        sweep = folder if isinstance(folder, Sweep) else load_sweep(folder)
        parts.append(with_runs(sweep).assign(**{FOLDER: label}))
        for run in sweep.runs:
            known |= run.quantities
    table = filtered(pd.concat(parts, ignore_index=True), wanted.where)
    by = [*([FOLDER] if len(folders) > 1 else []), *wanted.by]
    _refuse_mixtures(table, wanted, by)
    points = table.assign(**{name: column(table, name, "by") for name in by})[by]
    points = (
        _over_time(points, table, wanted)
        if wanted.x == T
        else points.assign(x=column(table, wanted.x, "x"), y=column(table, wanted.y, "y"))
    )
    for name, given in (("x", wanted.x), ("y", wanted.y)):
        if not pd.api.types.is_numeric_dtype(points[name]):
            raise StoreError(f"{name} {given}: it is no number; draw lines by {given}.")
    points = points.dropna(subset=["x", "y"]).astype({"x": float, "y": float})
    if points.empty:
        raise StoreError(f"x {wanted.x} and y {wanted.y}: no run has both.")
    return _reduced(points, by, wanted), known


def _refuse_mixtures(table: pd.DataFrame, wanted: Wanted, by: Sequence[str]) -> None:
    """Refuse runs in one point that differ in more than their seed, of which a mean would say nothing.

    Raises:
        StoreError: what they differ in.
    """
    if wanted.centre == EACH:
        return
    named = [name for name in (*by, wanted.x) if name != T]
    keys = [column(table, name, "by").astype(str) for name in named]
    for name in [*(one for one in SCALES if one in table), *differences(table)]:
        if name in (*named, FOLDER):
            continue
        values = table[name] if name in table else column(table, name, "by")
        values = values.astype(str)
        mixed = values.groupby(keys).nunique().max() if keys else values.nunique()
        if mixed > 1:
            few = ", ".join(sorted(set(values))[:4])
            raise StoreError(
                f"Runs with {name} = {few} would be one point: draw lines by {name}, choose them by where "
                f"{name}={values.iloc[0]}, or reduce {EACH}."
            )


def _over_time(points: pd.DataFrame, table: pd.DataFrame, wanted: Wanted) -> pd.DataFrame:
    """A row for each observation, but for the last of each run, whose time is its own.

    Raises:
        StoreError: no run has the observable.
    """
    found = []
    for index, run in zip(table.index, table["run"], strict=True):
        if wanted.y in run.history:
            curve = pd.DataFrame({"x": run.history[T][:-1], "y": run.history[wanted.y][:-1]})
            found.append(curve.assign(**points.loc[index].to_dict()))
    if not found:
        names = sorted({name for run in table["run"] for name in run.history} - {T})
        raise StoreError(f"y {wanted.y}: no run has it over time; there are {', '.join(names)}.")
    return pd.concat(found, ignore_index=True)


def _reduced(points: pd.DataFrame, by: list[str], wanted: Wanted) -> pd.DataFrame:
    if wanted.centre == EACH:
        return points.assign(low=np.nan, high=np.nan, n=1).sort_values([*by, "x"])
    grouped = points.groupby([*by, "x"], dropna=False)["y"]
    made = grouped.agg(y=wanted.centre, n="count")
    error = {"sem": grouped.sem(), "sd": grouped.std(), "": 0.0 * made["y"]}.get(wanted.spread)
    low, high = (
        (grouped.quantile(0.25), grouped.quantile(0.75)) if error is None else (made["y"] - error, made["y"] + error)
    )
    alone = made["n"] == 1  # one run has no spread
    return made.assign(low=low.mask(alone), high=high.mask(alone)).reset_index()


def draw(points: pd.DataFrame, known: Mapping[str, Quantity], wanted: Wanted, width: float | None = None) -> Figure:
    """The figure of ``rows``.

    Args:
        points: see ``rows``.
        known: quantities by column.
        wanted: see there.
        width: of the figure in inches.

    Raises:
        StoreError: a logarithmic axis with nothing above 0.
    """
    y = quantity_of(wanted.y, known)
    by = [name for name in points if name not in ("x", "y", "low", "high", "n")]
    with plt.rc_context(sized(width)):
        figure, axes = plt.subplots()
        groups = list(points.groupby(by, sort=False, dropna=False)) if by else [((), points)]
        shifted = wanted.x != T and points["x"].duplicated().any()
        for index, (values, part) in enumerate(groups):
            label = ", ".join(_named(name, value) for name, value in zip(by, values, strict=True))
            error = (part["y"] - part["low"], part["high"] - part["y"])
            line: dict[str, Any] = {"ls": "none"} if wanted.centre == EACH else {}
            bars = error if wanted.centre != EACH and wanted.spread and (part["n"] > 1).any() else None
            line["markevery"] = 1 if wanted.centre == EACH else -(-len(part) // MARKERS)
            drawn = axes.errorbar(part["x"], part["y"], bars, label=label, ms=4, capsize=2, **line, **look(index))
            if shifted:
                beside(axes, drawn, index, len(groups))
        log = _logarithmic(points, wanted, y)
        for name in log:
            if not (points[name] > 0).any():
                raise StoreError(f"log {log}: no value of {getattr(wanted, name)} is above 0; leave {name} out.")
            getattr(axes, f"set_{name}scale")("log")
        x = AXES.get(wanted.x, quantity_of(wanted.x, known).label)
        axes.set(**{f"{name}label": label.replace(*SCRIPT_L) for name, label in (("x", x), ("y", y.label))})
        if y.scale == "percent":
            percent(axes)
        if by:
            legend(figure)
        tidy(axes.xaxis)
        if y.scale != "percent":
            tidy(axes.yaxis)
    return figure


def _named(name: str, value: Any) -> str:
    if name == FOLDER:
        return str(value)
    shown = SYMBOLS.get(name, name)
    return f"{shown} = {value:g}" if isinstance(value, int | float | np.number) else f"{shown} = {value}"


def _logarithmic(points: pd.DataFrame, wanted: Wanted, y: Quantity) -> str:
    if wanted.log is not None:
        return wanted.log.replace(EACH, "")
    x = wanted.x in AXES and bool((points["x"] > 0).any())
    return ("x" if x else "") + ("y" if y.scale == "log" and bool((points["y"] > 0).all()) else "")


def save(figure: Figure, points: pd.DataFrame, path: Path, wanted: Wanted) -> str:
    """Write a figure, or its points as ``.csv`` under the names of what is drawn; a sentence if that could not be.

    Raises:
        StoreError: another ending, or a file that cannot be written.
    """
    match path.suffix:
        case ".csv":
            names = [{"x": wanted.x, "y": wanted.y}.get(name, name) for name in points]
            save_bytes(path, csv_of(points.set_axis(names, axis="columns"), DIGITS), below=None)
        case ".pgf":
            return save_pgf(figure, path, below=None)
        case ".pdf" | ".png" | ".svg":
            save_figure(figure, path, below=None)
        case _:
            raise StoreError(f"--out {path}: the name must end in {', '.join(FORMATS)}.")
    return ""
