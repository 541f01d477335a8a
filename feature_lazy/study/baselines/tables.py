"""Baselines beside runs as tables: of what was computed, and lines for figures of what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines import stored
from feature_lazy.study.estimate import average
from feature_lazy.study.table import H, X

if TYPE_CHECKING:
    from feature_lazy.study.baselines.compute import Beside

BY = ["baseline", "kernel", H, X]


def frame(found: Sequence[Beside]) -> pd.DataFrame:
    """A row for each baseline, kernel and run: ``error`` of the baseline, ``run_error``, and ``distance``."""
    rows = [
        {
            "baseline": stored.label(one.baseline),
            "kernel": one.kernel,
            H: one.run.columns[H],
            X: one.run.columns[X],
            "seed": one.run.columns["seed"],
            "error": one.found.error,
            "run_error": one.run_error,
            "distance": one.distance,
        }
        for one in found
    ]
    return pd.DataFrame(rows, columns=[*BY, "seed", "error", "run_error", "distance"])


def over_seeds(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``frame`` with an ``Estimate`` over seeds, ± 95 %, in place of each number."""
    columns = ("error", "run_error", "distance")
    return pd.DataFrame(
        [
            {**dict(zip(BY, key, strict=True)), **{name: average(part[name].to_numpy()) for name in columns}}
            for key, part in _in_order(rows).groupby(BY, sort=False)
        ]
    )


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """Baselines and kernels as they were asked for, each by h and √h·α."""
    asked = rows.groupby(["kernel", "baseline"], sort=False).ngroup()
    return rows.assign(asked=asked).sort_values(["asked", H, X], kind="stable")


def lines(table: pd.DataFrame) -> pd.DataFrame:
    """Test errors of the baselines that are stored beside the runs of a table.

    Args:
        table: runs of one results folder.

    Returns:
        Columns ``name``, h, √h·α and ``error``, a mean over seeds; h is missing for kernels that all widths share.
    """
    known: dict[str, list[dict[str, Any]]] = {}
    folders = {run.path.parents[1] for run in table["run"] if isinstance(run, Run)}
    for entry in (one for folder in folders for one in stored.entries(folder).values()):
        known.setdefault(entry["of"], []).append(entry)
    kernels = {entry["kernel"] for same in known.values() for entry in same}
    rows = [
        {
            "name": f"{entry['label']}, {kernel}",
            H: np.nan if stored.is_common(kernel) else h,
            X: x,
            "error": entry["error"],
        }
        for kernel in sorted(kernels)
        for run, h, x in zip(table["run"], table[H], table[X], strict=True)
        for entry in known.get(stored.of(run.config, kernel), [])
    ]
    found = pd.DataFrame(rows, columns=["name", H, X, "error"])
    return found.groupby(["name", H, X], dropna=False, sort=True, as_index=False)["error"].mean()
