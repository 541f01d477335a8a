"""A sweep as the figures want it: one table, means over seeds, and curves over time."""

from pathlib import Path

import numpy as np
import pandas as pd

from feature_lazy import load_sweep
from feature_lazy.errors import StoreError

X, H = "sqrt_h_alpha", "h"
SETTING = ("dataset", "labels", "P", "architecture", "parametrisation", "L", "activation", "loss", "dynamics")
"""Columns that must be the same in all runs of one figure."""
LIMIT = "infinite_width/error"
"""Test error of the infinitely wide lazy network, the same in all rows; NaN or no column where there is none."""


def read(folder: Path | str) -> pd.DataFrame:
    """The complete runs of a results folder, with ``kernel_change`` as the best kernel change that they have.

    That is the change on the whole test set where it was measured, else on the probe set.

    Raises:
        StoreError: no complete run, or runs of several data sets or networks that one figure cannot show.
    """
    sweep = load_sweep(folder)
    table = sweep.table.assign(run=sweep.runs)
    for column in SETTING:
        values = sorted(table[column].dropna().unique()) if column in table else []
        if len(values) > 1:
            raise StoreError(f"{folder} mixes runs with {column} = {', '.join(map(str, values))}; figures need one.")
    candidates = [c for c in ("kernel/change_test", "kernel/change") if c in table]
    table["kernel_change"] = table[candidates].bfill(axis=1).iloc[:, 0] if candidates else np.nan
    return table


def over_seeds(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean, standard error and number of seeds of a column, for each h and √h·α; runs without a value are left out."""
    grouped = table.dropna(subset=[column]).groupby([H, X])[column]
    result = grouped.agg(mean="mean", sem="sem", n="count").reset_index()
    return result.fillna({"sem": 0.0})


def ensemble(table: pd.DataFrame) -> pd.DataFrame:
    """Ensemble statistics from the stored predictors, for each h and √h·α with at least two seeds (eqs. 15–16).

    Returns:
        Columns ``variance`` = mean over the test set, and over outputs, of Σ(Fᵢ − F̄)²/(n − 1), ``error`` = error of F̄,
        and ``single`` = mean error of one network.
    """
    rows = []
    for (h, x), group in table.groupby([H, X]):
        if len(group) < 2:
            continue
        predictors = np.stack([run.outputs["F_test"] for run in group["run"]])
        labels = group["run"].iloc[0].outputs["y_test"]
        mean = predictors.mean(axis=0)
        rows.append(
            {
                H: h,
                X: x,
                "n": len(group),
                "variance": predictors.var(axis=0, ddof=1).mean(),
                "error": (margins(mean, labels) <= 0).mean(),
                "single": (margins(predictors, labels) <= 0).mean(),
            }
        )
    return pd.DataFrame(rows)


def margins(predictor: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Margin of each pattern: F·y for F (…, P) and y = ±1, F_y − max_{c≠y} F_c for F (…, P, C) and classes: (…, P)."""
    if not np.issubdtype(labels.dtype, np.integer):
        return predictor * labels
    own = labels[:, None] == np.arange(predictor.shape[-1])
    return np.where(own, predictor, 0).sum(-1) - np.where(own, -np.inf, predictor).max(-1)
