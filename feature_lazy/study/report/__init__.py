"""The report of a sweep: one HTML file that needs no network, ``feature-lazy report DIR``."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import write_atomically
from feature_lazy.runs.survey import RunState, Survey, survey
from feature_lazy.study import law as registry
from feature_lazy.study.baselines.tables import lines
from feature_lazy.study.laws import contrasts, laws, pairs, source
from feature_lazy.study.phases import boundaries
from feature_lazy.study.report import page
from feature_lazy.study.report.cells import cells, not_done
from feature_lazy.study.report.charts import specifications
from feature_lazy.study.report.curves import curves, drawn, limit_for
from feature_lazy.study.report.groups import Group, constants, group, values
from feature_lazy.study.report.lacking import missing, unfit
from feature_lazy.study.report.origin import commands, provenance
from feature_lazy.study.report.points import against, hue, infinite_width, tint
from feature_lazy.study.sentences import verdicts
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import CANNOT_TELL, Reading, unmeasured

__all__ = ["write_report"]


def write_report(folder: Path, output: Path | None = None, named: Sequence[str] = ()) -> Path:
    """Write the report of a results folder, however much of it is done.

    Args:
        folder: the results folder.
        output: the file; ``folder/report.html`` if omitted.
        named: import paths of laws of the user's own.

    Returns:
        Where it was written.

    Raises:
        StoreError: it is no results folder, or the file cannot be written.
        ConfigError: a named law that cannot be imported, or is none.
    """
    for path in named:
        registry.add(path)
    found = survey(folder)
    groups = group(found)
    limit = limit_for(groups)
    parts = [_part(folder, one, limit) for one in groups]
    known = {name: one for each in groups for name, one in drawn(each).items()}
    linear = {name: one.scale for name, one in known.items() if one.scale != "log"}
    payload = {"charts": specifications(), "linear": linear, "groups": [data for data, _ in parts]}
    tables = [one.table for one in groups if len(one.table)]
    whole = pd.concat(tables, ignore_index=True) if len(tables) > 1 else None
    kinds = {
        name: [_texts(row) for row in laws_of(whole) if row.estimate is not None] if whole is not None else []
        for name, laws_of in (("contrasts", contrasts), ("pairs", pairs))
    }
    text = page.render(payload, {**_common(found), "groups": [text for _, text in parts], **kinds})
    path = output or folder / "report.html"
    try:
        write_atomically(path, text.encode(errors="replace"), below=None if output else folder)
    except OSError as error:
        raise StoreError(f"The report {path} cannot be written ({error.strerror}).") from error
    return path


def _common(found: Survey) -> dict[str, Any]:
    """What the template says of the whole folder."""
    states = [(str(state), len(found.having(state))) for state in RunState]
    unknown = [entry for entry in found.entries if not entry.columns]
    return {
        "folder": found.root.name or str(found.root),
        "written": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "total": len(found.entries),
        "states": [(state, count) for state, count in states if count],
        "problems": [*found.problems, *(f"{entry.run_id}: {entry.state}, {entry.note}" for entry in unknown)],
        "provenance": provenance(found.entries),
    }


def _part(folder: Path, one: Group, limit: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data for the scripts, and text for the template, of one group."""
    rows = cells(one)
    columns = curves(one, rows, limit)
    widths, xs = values(one.entries, H), values(one.entries, X)
    found = laws(one.table) if len(one.table) else []
    infinite = infinite_width(folder, one)
    points = against(one, widths, infinite)
    for row in rows:
        row.update(hue=hue(widths, row["h"]), tint=tint(xs, row["x"]))
    boundary = boundaries(one.table)
    data = {
        "cells": rows,
        "boundary": [{"h": h, "x": at.value, "label": str(at)} for h, at in boundary.items()],
        "quantities": {name: one.label for name, one in drawn(one).items()},
        "curves": columns.curves,
        "against": points,
        "laws": [_point(row) for row in found if row.verdict != CANNOT_TELL and np.isfinite(row.target)],
    }
    text = {
        "name": one.name,
        "differs": list(one.differs),
        "verdicts": verdicts(one.table, found),
        "missing": missing(one, rows, columns),
        "constants": constants(one.entries),
        "grid": {"h": widths, "√h·α": xs, "seed": values(one.entries, "seed")},
        "runs": len(one.entries),
        "complete": len(one.table),
        "unfit": unfit(one),
        "not_done": not_done(one),
        "cells": rows,
        "laws": [_texts(row) for row in found if row.estimate is not None],
        "unmeasured": [*unmeasured(found), *registry.failed()],
        "infinite": infinite,
        "baselines": _baselines(one.table) if len(one.table) else [],
        "figures": sorted(points),
        "commands": commands(folder, one.entries),
    }
    # Of the one large part every number is plain already.
    return {**_plain(data), "columns": columns.columns}, text


def _baselines(table: pd.DataFrame) -> list[str]:
    """Each baseline that is stored beside the runs, with its test error, from the least to the largest of several."""
    found = lines(table).groupby("name", sort=False)["error"].agg(["min", "max"])
    ranges = [sorted({f"{100 * low:.2f}", f"{100 * high:.2f}"}, key=float) for low, high in found.to_numpy()]
    return [f"{name}: {' … '.join(one)} %" for name, one in zip(found.index, ranges, strict=True)]


def _texts(row: Reading) -> dict[str, str]:
    """What of a law is to be read."""
    texts = {name: getattr(row, name) for name in ("name", "expected", "measured", "verdict")}
    return {"name": texts.pop("name"), "where": source(row), **texts}


def _point(row: Reading) -> dict[str, Any]:
    """A law that is decided, as it is drawn."""
    assert row.estimate is not None
    value, error = row.estimate.value, row.estimate.error
    return {**_texts(row), "value": value, "low": value - error, "high": value + error, "target": row.target}


def _plain(value: Any) -> Any:
    """As JSON has it: numbers of NumPy as Python's, NaN and infinity as None."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))):
        return None
    return value.item() if hasattr(value, "item") and not isinstance(value, float) else value
