"""What the page draws against √h·α: a row for each point, with its error bar, in the colour of its width."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.study.baselines.tables import lines
from feature_lazy.study.report.groups import Group
from feature_lazy.study.table import H, X, ensemble, over_seeds

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
COLOURS = 7
"""Colours of Okabe and Ito, as ``--o0`` … ``--o6`` in the style sheet."""
TINTS = 24
"""Steps of viridis, as ``--s0`` … ``--s23`` in the style sheet."""

Row = dict[str, Any]


def hue(widths: Sequence[float], h: float) -> Row:
    """Colour and shape of a width."""
    index = list(widths).index(h)
    return {"colour": f"var(--o{index % COLOURS})", "shape": SHAPES[index % len(SHAPES)]}


def tint(xs: Sequence[float], x: float) -> str:
    """Colour of a √h·α: even in its rank."""
    rank = list(xs).index(x)
    return f"var(--s{round(rank * (TINTS - 1) / max(1, len(xs) - 1))})"


def against(group: Group, widths: Sequence[float], limit: float | None) -> dict[str, list[Row]]:
    """Rows of each figure against √h·α by name; those that would be empty are left out.

    Args:
        group: the runs.
        widths: all widths of the group, which decide the colours.
        limit: test error of the infinitely wide lazy network, if known.
    """
    table = group.table
    if not len(table):
        return {}
    changes = pd.to_numeric(table.get("weights/change"), errors="coerce")
    half = pd.to_numeric(table.get("t_half"), errors="coerce")
    scaled = table.assign(weights=np.sqrt(table[H]) * changes, half=half / table[X])
    columns = {"kernel": "kernel_change", "weights": "weights", "half": "half", "error": "test/error"}
    found = {name: _lines(scaled, column, widths, positive=name != "error") for name, column in columns.items()}
    statistics = _statistics(group)
    for h, part in statistics.groupby(H) if len(statistics) else ():
        rows = part.to_dict("records")
        common = {"h": h, **hue(widths, float(h))}
        ensembles = [_point(row, row["error"], series=f"{h} ensemble", dashed=True) for row in rows]
        found["error"] += [{**common, **row} for row in ensembles]
        found.setdefault("variance", [])
        found["variance"] += [{**common, **_point(row, h * row["variance"], series=f"{h}")} for row in rows]
    if limit is not None and found["error"]:
        ends = {row["x"] for row in found["error"]}
        line = {"v": limit, "series": "limit", "dashed": True, "guide": True, "colour": "currentColor"}
        found["error"] += [{"x": x, **line} for x in (min(ends), max(ends))]
    if found["error"]:
        found["error"] += _baselines(table, widths)
    return {name: rows for name, rows in found.items() if rows}


def _baselines(table: pd.DataFrame, widths: Sequence[float]) -> list[Row]:
    """Test errors of baselines that are stored beside the runs: guides, in grey where all widths share one."""
    return [
        {
            "x": row[X],
            "v": row["error"],
            "series": f"{row['name']} {row[H]}",
            "dashed": True,
            "guide": True,
            **(hue(widths, row[H]) if pd.notna(row[H]) else {"colour": "grey"}),
        }
        for row in lines(table).to_dict("records")
    ]


def _lines(table: pd.DataFrame, column: str, widths: Sequence[float], *, positive: bool) -> list[Row]:
    means = over_seeds(table[table[column] > 0] if positive else table, column)
    rows = []
    for row in means.to_dict("records"):
        bar = {"low": row["mean"] - row["sem"], "high": row["mean"] + row["sem"]} if row["n"] > 1 else {}
        if positive and bar and bar["low"] <= 0:
            bar = {}
        rows.append({"h": row[H], **hue(widths, row[H]), **_point(row, row["mean"], series=f"{row[H]}"), **bar})
    return rows


def _point(row: Row, value: float, **more: Any) -> Row:
    return {"x": row[X], "v": value, "n": int(row["n"]), **more}


def _statistics(group: Group) -> pd.DataFrame:
    """Ensemble statistics, of the cells whose members all have a finite predictor."""
    finite = [bool(np.isfinite(run.outputs.get("F_test", np.nan)).all()) for run in group.table["run"]]
    return ensemble(group.table[finite])


def infinite_width(folder: Path, group: Group) -> float | None:
    """Test error of the infinitely wide lazy network, where the figures of this folder have asked for it."""
    if not len(group.table) or not (folder / "infinite_width.json").exists():
        return None
    from feature_lazy.study.infinite_width import stored_test_error  # imports PyTorch: two seconds

    try:
        return stored_test_error(folder, group.table["run"].iloc[0].config)
    except FeatureLazyError:
        return None
