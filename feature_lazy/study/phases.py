"""The phase diagram in numbers: means over seeds in each cell, its regime, the boundary, which regime tests better."""

from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.study.ahead import FEATURE, LAZY, Lead, lead
from feature_lazy.study.crossings import crossings
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.table import H, X

BOUNDARY = 1.0
"""Kernel change ‖Θ − Θ₀‖/‖Θ₀‖ above which training is called feature training, below which lazy."""


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each cell with a complete run: its ``h``, ``x`` = √h·α, number of ``done`` runs, and ``means``."""
    return [{"h": h, "x": x, "done": len(here), **means(here)} for (h, x), here in table.groupby([H, X])]


def means(runs: pd.DataFrame) -> dict[str, Any]:
    """Over the seeds of one cell; None where nothing was measured."""
    row: dict[str, Any] = dict.fromkeys(("kernel", "kernel_low", "kernel_high", "error", "error_sem", "regime"))
    if not len(runs):
        return row
    logs = np.log(runs["kernel_change"][runs["kernel_change"] > 0])
    if len(logs):
        spread = logs.sem() if len(logs) > 1 else 0.0
        row["kernel"] = np.exp(logs.mean())
        row["kernel_low"], row["kernel_high"] = np.exp(logs.mean() - spread), np.exp(logs.mean() + spread)
        row["regime"] = FEATURE if row["kernel"] > BOUNDARY else LAZY
    errors = runs["test/error"].dropna()
    if len(errors):
        row["error"], row["error_sem"] = errors.mean(), errors.sem() if len(errors) > 1 else None
    return row


def bests(table: pd.DataFrame) -> dict[float, Lead]:
    """The best of each regime and which is better, for each width that trained in both."""
    found = {h: lead(part) for h, part in table.groupby(H)} if len(table) else {}
    return {h: one for h, one in found.items() if one is not None}


def boundaries(table: pd.DataFrame) -> dict[int, Estimate]:
    """√h·α at which the kernel change is 1, for each width where it falls through it."""
    return crossings(table, "kernel_change", BOUNDARY) if len(table) else {}
