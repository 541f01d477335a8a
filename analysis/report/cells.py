"""The cells (h, √h·α) of a group as phase diagrams show them: means over seeds, regime, and which is best."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.fits import Estimate, crossing
from analysis.grid import edges
from analysis.report.groups import Group
from analysis.sweep import H, X
from feature_lazy.runs.survey import State

FEATURE, LAZY = "feature", "lazy"
BOUNDARY = 1.0
"""Kernel change ‖Θ − Θ₀‖/‖Θ₀‖ above which training is called feature training, below which lazy."""
ERRORS = 2.0
"""Standard errors within which two test errors are not told apart."""


@dataclass(frozen=True)
class Difference:
    """A mean difference of test errors, paired over seeds, and its standard error; NaN for one seed."""

    value: float
    sem: float

    @property
    def told(self) -> bool:
        """Whether it is more than chance makes."""
        return abs(self.value) > ERRORS * self.sem


@dataclass(frozen=True)
class Best:
    """Where feature and lazy training test best at one width, and the difference of the two.

    Attributes:
        h: the width.
        feature: √h·α of the lowest mean test error with a kernel change above 1.
        lazy: that with a kernel change below 1.
        difference: test error there, feature − lazy.
    """

    h: float
    feature: float
    lazy: float
    difference: Difference

    @property
    def winner(self) -> str | None:
        """The regime with the lower test error; None if the two are not told apart."""
        if not self.difference.told:
            return None
        return FEATURE if self.difference.value < 0 else LAZY


def cells(group: Group) -> list[dict[str, Any]]:
    """A row for each cell that somebody asked for, also those of which no run is complete.

    Returns:
        ``cell`` (its number), ``h``, ``x`` = √h·α, ``alpha``; their edges ``x0, x1`` and ``a0, a1``; ``asked`` and
        ``done`` runs; ``kernel`` (geometric mean over seeds) with ``kernel_low`` and ``kernel_high``, a standard error
        away; ``error`` (mean) with ``error_sem``; ``regime``; ``excess`` of the test error over the best of its width,
        whether it is as ``good`` and whether it is the ``best``.
    """
    asked: Counter[tuple[float, float]] = Counter()
    alphas: dict[tuple[float, float], float] = {}
    for columns in (entry.columns for entry in group.entries):
        if all(isinstance(columns.get(name), int | float) for name in (H, X, "alpha")):
            asked[columns[H], columns[X]] += 1
            alphas[columns[H], columns[X]] = columns["alpha"]
    found: list[dict[str, Any]] = []
    for h in sorted({h for h, _ in asked}):
        xs = np.array(sorted(x for other, x in asked if other == h))
        part = group.table[group.table[H] == h] if len(group.table) else group.table
        best = _against_best(part)
        for x, x0, x1 in zip(xs.tolist(), *edges(xs, lone=3), strict=True):
            scale = alphas[h, x] / x
            place = {"h": h, "x": x, "alpha": x * scale, "x0": x0, "x1": x1, "a0": x0 * scale, "a1": x1 * scale}
            here = part[part[X] == x] if len(part) else part
            row = {"cell": len(found), **place, "asked": asked[h, x], "done": len(here), **_means(here)}
            found.append({**row, **best.get(x, {"excess": None, "good": False, "best": False})})
    return found


def _means(runs: pd.DataFrame) -> dict[str, Any]:
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


def _against_best(part: pd.DataFrame) -> dict[float, dict[str, Any]]:
    """For each √h·α at one width: the test error over that of the best, paired over seeds."""
    means = part.groupby(X)["test/error"].mean().dropna() if len(part) else pd.Series(dtype=float)
    if not len(means):
        return {}
    best, seeds = means.idxmin(), _by_seed(part)
    found = {}
    for x in means.index:
        excess = _paired(seeds, x, best)
        # One seed cannot tell how large a difference chance makes.
        good = x == best or (np.isfinite(excess.sem) and not excess.told)
        found[x] = {"excess": means[x] - means[best], "good": bool(good), "best": x == best}
    return found


def _by_seed(part: pd.DataFrame) -> pd.DataFrame:
    """Test errors at one width: a row for each seed, a column for each √h·α."""
    return part.pivot_table(index="seed", columns=X, values="test/error")


def _paired(seeds: pd.DataFrame, one: float, other: float) -> Difference:
    """Of the test errors at two √h·α, over the seeds that both have: those share w₀."""
    difference = (seeds[one] - seeds[other]).dropna()
    return Difference(float(difference.mean()), float(difference.sem()) if len(difference) > 1 else float("nan"))


def bests(group: Group, rows: Sequence[dict[str, Any]]) -> list[Best]:
    """For each width that trained in both regimes, the best of each and which is better."""
    found = []
    for h in sorted({row["h"] for row in rows}):
        lowest = {}
        for regime in (FEATURE, LAZY):
            here = [row for row in rows if row["h"] == h and row["regime"] == regime and row["error"] is not None]
            if here:
                lowest[regime] = min(here, key=lambda row: row["error"])["x"]
        if len(lowest) == 2:
            feature, lazy = lowest[FEATURE], lowest[LAZY]
            found.append(Best(h, feature, lazy, _paired(_by_seed(group.table[group.table[H] == h]), feature, lazy)))
    return found


def boundaries(group: Group) -> dict[float, Estimate]:
    """√h·α at which the kernel change is 1, for each width where it falls through it."""
    table = group.table
    found = {h: crossing(table[table[H] == h], "kernel_change", BOUNDARY) for h in sorted(set(table.get(H, ())))}
    return {h: estimate for h, estimate in found.items() if estimate is not None}


def not_done(group: Group) -> list[dict[str, Any]]:
    """Runs that are not complete, or ended otherwise than fit, by state and reason: how many, and where."""
    found: dict[tuple[str, str], list[Any]] = {}
    for entry in group.entries:
        if entry.state is State.DONE and entry.note in ("converged", "t_end"):
            continue
        found.setdefault((str(entry.state), entry.note), []).append(entry)
    rows = []
    for (state, note), entries in found.items():
        where = [f"√hα = {e.columns[X]:g}, h = {e.columns[H]}, seed {e.columns.get('seed')}" for e in entries[:6]]
        more = len(entries) - len(where)
        rows.append(
            {"state": state, "note": note, "n": len(entries), "where": where, "more": more, "first": entries[0]}
        )
    return rows
