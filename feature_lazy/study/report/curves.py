"""Histories as columns for the page: of every run, and the mean over the members of every cell."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feature_lazy.measure.quantity import Quantity
from feature_lazy.runs.reading import Run
from feature_lazy.study.labels import others, quantities
from feature_lazy.study.report.groups import Group
from feature_lazy.study.table import H, X

SHOWN = (
    "kernel/change",
    "train/loss",
    "test/loss",
    "test/error",
    "train/error",
    "train/unfit",
    "weights/change",
    "output/f_rms",
    "output/df_rms",
    "output/alpha_df_rms",
    "kernel/alignment",
)
"""What the page draws over time of the usual quantities; to these come those of the user's own."""
MOST_OBSERVATIONS = 80
"""Observations of one curve; more would not be seen."""
MOST_NUMBERS = 1_200_000
"""Numbers in all curves of the page, about 7 bytes each."""


@dataclass
class Columns:
    """Curves one after the other: ``columns[name][begin:end]`` is one curve of one quantity.

    Attributes:
        names: quantities that some run has.
        limit: observations that are kept of a curve.
        columns: ``t`` and the quantities, flat; None where there is no number.
        curves: of each its cell, its seed (None: the mean), ``begin`` and ``end``, and what is known of the run.
        thinned: whether some curve had more observations.
    """

    names: list[str]
    limit: int
    columns: dict[str, list[float | None]] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)
    thinned: bool = False

    def add(self, history: dict[str, np.ndarray], about: dict[str, Any]) -> None:
        """Append a curve."""
        begin = len(self.columns.setdefault("t", []))
        for name in ("t", *self.names):
            values = history.get(name, np.full(len(history["t"]), np.nan))
            self.columns.setdefault(name, []).extend(rounded(values))
        self.curves.append({**about, "begin": begin, "end": len(self.columns["t"])})


def rounded(values: np.ndarray) -> list[float | None]:
    """Five significant digits; None for what is not finite."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values.tolist()]


def drawn(group: Group) -> dict[str, Quantity]:
    """Quantities over time that some run of a group has, by their name in the history."""
    runs = list(group.table["run"]) if len(group.table) else []
    known, names = quantities(runs), dict.fromkeys(name for run in runs for name in run.history)
    return {name: known[name] for name in SHOWN if name in names} | others(names, known)


def limit_for(groups: Sequence[Group]) -> int:
    """Observations that each curve may keep so that the page stays small."""
    tables = [group.table for group in groups if len(group.table)]
    lines = sum(len(table) + table.groupby([H, X]).ngroups for table in tables)  # members, and a mean for each cell
    most = max((len(drawn(group)) for group in groups), default=0)
    return max(8, min(MOST_OBSERVATIONS, MOST_NUMBERS // max(1, lines * (most + 1))))


def curves(group: Group, rows: Sequence[dict[str, Any]], limit: int) -> Columns:
    """The histories of a group, each cell's mean after its members."""
    names = list(drawn(group))
    result = Columns(names, limit)
    for row in rows:
        table = group.table
        here = table[(table[H] == row["h"]) & (table[X] == row["x"])] if len(table) else table
        members = []
        for _, known in here.iterrows():
            history = thin(known["run"], names, limit)
            result.thinned |= int((known["run"].history["t"] > 0).sum()) > limit
            if len(history["t"]):
                members.append(history)
                result.add(history, {"cell": row["cell"], **_about(known)})
        if members:
            result.add(mean(members, names, limit), {"cell": row["cell"], "seed": None})
    return result


def _about(known: Any) -> dict[str, Any]:
    """What the page says of one run beside its curve."""
    numbers = {"t_half": "t_half", "t_stop": "t_stop", "error": "test/error", "kernel": "kernel_change"}
    values = {name: known.get(column) for name, column in numbers.items()}
    plain = {n: rounded(np.array([v]))[0] if isinstance(v, int | float) else None for n, v in values.items()}
    return {"seed": known["seed"], "id": known["run_id"], "outcome": str(known.get("outcome", "")), **plain}


def thin(run: Run, names: Sequence[str], limit: int) -> dict[str, np.ndarray]:
    """A history without t = 0, which a log axis cannot show, and at most ``limit`` observations even in log t."""
    t = run.history["t"]
    late = np.flatnonzero(t > 0)
    if len(late) > limit:
        wanted = np.geomspace(t[late[0]], t[late[-1]], limit)
        late = late[np.unique(np.abs(np.log(t[late])[None] - np.log(wanted)[:, None]).argmin(1))]
    return {"t": t[late], **{name: run.history[name][late] for name in names if name in run.history}}


def mean(members: Sequence[dict[str, np.ndarray]], names: Sequence[str], limit: int) -> dict[str, np.ndarray]:
    """Mean over members at the times of any of them: linear in log t between observations, held after the last."""
    t = np.unique(np.concatenate([member["t"] for member in members]))
    if len(t) > limit:
        t = t[np.linspace(0, len(t) - 1, limit).round().astype(int)]
    result = {"t": t}
    for name in names:
        lines = [_at(t, member["t"], member[name]) for member in members if name in member]
        if lines:
            result[name] = np.mean(lines, axis=0)
    return result


def _at(t: np.ndarray, times: np.ndarray, values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    if not finite.any():
        return np.full(len(t), np.nan)
    return np.interp(np.log(t), np.log(times[finite]), values[finite])
