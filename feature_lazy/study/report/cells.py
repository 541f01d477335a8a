"""The cells (h, √h·α) of a group as phase diagrams show them: means over seeds, regime, and which is best."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.runs.survey import RunState
from feature_lazy.study.estimate import average
from feature_lazy.study.grid import edges
from feature_lazy.study.phases import means
from feature_lazy.study.report.groups import Group
from feature_lazy.study.table import H, X


def cells(group: Group) -> list[dict[str, Any]]:
    """A row for each cell that somebody asked for, also those without a complete run.

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
            row = {"cell": len(found), **place, "asked": asked[h, x], "done": len(here), **means(here)}
            found.append({**row, **best.get(x, {"excess": None, "good": False, "best": False})})
    return found


def _against_best(part: pd.DataFrame) -> dict[float, dict[str, Any]]:
    """Test error over that of the best √h·α, for each √h·α at one width, paired over seeds."""
    means = part.groupby(X)["test/error"].mean().dropna() if len(part) else pd.Series(dtype=float)
    if not len(means):
        return {}
    best, seeds = means.idxmin(), part.pivot_table(index="seed", columns=X, values="test/error")
    found = {}
    for x in means.index:
        difference = (seeds[x] - seeds[best]).dropna().to_numpy()  # over the seeds that both have: those share w₀
        excess = average(difference)
        # One seed cannot tell how large a difference chance makes.
        good = x == best or (np.isfinite(excess.error) and not excess.told)
        found[x] = {"excess": means[x] - means[best], "good": bool(good), "best": x == best}
    return found


def not_done(group: Group) -> list[dict[str, Any]]:
    """Runs that are not complete, or ended otherwise than fit, by state and reason: how many, and where."""
    found: dict[tuple[str, str], list[Any]] = {}
    for entry in group.entries:
        if entry.state is RunState.DONE and entry.note in ("converged", "stationary", "t_end"):
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
