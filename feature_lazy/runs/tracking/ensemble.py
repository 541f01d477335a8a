"""An ensemble as one run: mean, standard error and members, in place of a run for each."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from feature_lazy.runs.history import Row
from feature_lazy.runs.reading import Run
from feature_lazy.runs.tracking.interface import Tracker
from feature_lazy.settings.cells import Cell


class EnsembleCell(Cell):
    """What a tracker is told that an ensemble is: the cell of its members, with an id and a label of its own."""

    @property
    def label(self) -> str:
        """How a person names it."""
        return f"√hα={self.columns['sqrt_h_alpha']:g} h={self.columns['h']} {self.columns['members']} seeds"

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> "EnsembleCell":
        """The ensemble of cells that differ in their seeds only."""
        first = cells[0]
        columns = {name: value for name, value in first.columns.items() if name != "seed"}
        columns |= {"members": len(cells), "seeds": [cell.seed for cell in cells]}
        run_id = hashlib.sha256(" ".join(cell.run_id for cell in cells).encode()).hexdigest()[:16]
        science = {name: value for name, value in first.config.items() if name != "seed"}
        return cls(run_id, first.code, first.seed, science, columns, first.resolved)


@dataclass
class _Member:
    """What has been seen of one member: rows by t, the last one, and the summary when it has ended."""

    rows: dict[float, Row] = field(default_factory=dict)
    last: Row = field(default_factory=dict)
    summary: Mapping[str, Any] | None = None

    def add(self, row: Row) -> None:
        self.rows[row["t"]] = self.last = row

    def at(self, t: float) -> Row | None:
        """Its observation at t; of one that has ended before, the last."""
        return self.rows.get(t) or (self.last if self.summary is not None and self.last["t"] <= t else None)

    def decided(self, t: float) -> bool:
        """Whether nothing more can come for t."""
        return self.summary is not None or (bool(self.last) and self.last["t"] >= t)


class MeanTracker:
    """Gives another tracker one run for an ensemble.

    It has a row for every t at which each member was observed, or had ended before: a network that is not trained any
    more stays as it is. Of an observable ``name`` the row holds the mean under ``name``, the standard error of the mean
    under ``name/sem`` (the square root of the unbiased variance over the number of members) and each member's value
    under ``name/seed3``, of all observables that every member has there.
    """

    def __init__(self, tracker: Tracker, cells: Sequence[Cell], stored: Callable[[str], Run | None]) -> None:
        """Watch an ensemble.

        Args:
            tracker: who is told.
            cells: all members, those that are done included.
            stored: the complete run with an id, None if there is none.
        """
        self.tracker, self.cells, self.stored = tracker, cells, stored
        self.ensemble = EnsembleCell.of(cells)
        self.members: dict[str, _Member] = {}
        self.shown = -math.inf
        self.steps = 0
        self.begun = False

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        """See ``Tracker.start``; the other tracker's begins with the first row."""
        member = self.members[cell.run_id] = _Member()
        for row in rows:
            member.add(row)

    def log(self, cell: Cell, step: int, row: Row) -> None:
        self.members[cell.run_id].add(row)
        self._show()

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``; the other tracker's comes with the last member."""
        if cell.run_id not in self.members:
            return
        self.members[cell.run_id].summary = summary
        self._show()
        if self.begun and len(self.members) == len(self.cells):
            summaries = [self.members[one.run_id].summary for one in self.cells]
            if all(one is not None for one in summaries):
                self.tracker.finish(self.ensemble, self._summary([one or {} for one in summaries]))

    def _show(self) -> None:
        for cell in self.cells:
            if cell.run_id not in self.members and (run := self.stored(cell.run_id)) is not None:
                self.start(cell, run.rows)
                self.members[cell.run_id].summary = run.summary
        if len(self.members) < len(self.cells):
            return
        members = [self.members[cell.run_id] for cell in self.cells]
        rows = []
        for t in sorted({t for member in members for t in member.rows if t > self.shown}):
            if not all(member.decided(t) for member in members):
                break
            self.shown = t
            found = [row for member in members if (row := member.at(t)) is not None]
            if len(found) == len(members):
                rows.append({"t": t, "members": float(len(members)), **self._joined(found)})
        self._tell(rows)

    def _tell(self, rows: Sequence[Row]) -> None:
        if not self.begun and rows:
            self.tracker.start(self.ensemble, rows)
            self.begun = True
        else:
            for number, row in enumerate(rows, self.steps):
                self.tracker.log(self.ensemble, number, row)
        self.steps += len(rows)

    def _joined(self, values: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Mean, standard error and members of what all members have."""
        joined = {}
        for name in values[0]:
            column = [float(one[name]) for one in values if name in one]
            if name != "t" and len(column) == len(values):
                joined[name] = fmean(column)
                joined[f"{name}/sem"] = stdev(column) / math.sqrt(len(column)) if len(column) > 1 else math.nan
                joined |= {f"{name}/seed{cell.seed}": one for cell, one in zip(self.cells, column, strict=True)}
        return joined

    def _summary(self, summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Joined numbers, and the outcomes with how many members had them."""
        numbers = [
            {k: v for k, v in one.items() if isinstance(v, int | float) and not isinstance(v, bool)}
            for one in summaries
        ]
        outcomes = sorted({str(one.get("outcome")) for one in summaries})
        counts = {name: sum(str(one.get("outcome")) == name for one in summaries) for name in outcomes}
        said = outcomes[0] if len(outcomes) == 1 else ", ".join(f"{counts[name]} {name}" for name in outcomes)
        t = {"t": max(float(one["t"]) for one in summaries)}
        return {"outcome": said, **self._joined(numbers), **t}
