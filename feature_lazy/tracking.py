"""Where runs are shown while they train. Tracking never fails, stops or changes a run."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from feature_lazy.cells import Cell

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Shows runs; each call names its cell."""

    def start(self, cell: Cell) -> None:
        """A cell begins, or continues, to train."""
        ...

    def log(self, cell: Cell, step: int, row: Mapping[str, float]) -> None:
        """One observation, the ``step``-th of this cell."""
        ...

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """The cell is done, or stopped by a budget."""
        ...


class NoTracker:
    """Shows nothing."""

    def start(self, cell: Cell) -> None:
        """See ``Tracker.start``."""

    def log(self, cell: Cell, step: int, row: Mapping[str, float]) -> None:
        """See ``Tracker.log``."""

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``."""


class Guarded:
    """A tracker whose failures are logged once, and which is left alone after the first."""

    def __init__(self, tracker: Tracker) -> None:
        """Guard another tracker."""
        self.tracker = tracker
        self.broken = False

    def _try(self, call: Callable[..., None], *arguments: Any) -> None:
        if self.broken:
            return
        try:
            call(*arguments)
        except Exception as error:
            self.broken = True
            log.warning("Tracking stopped, training goes on: %s: %s", type(error).__name__, error)

    def start(self, cell: Cell) -> None:
        """See ``Tracker.start``."""
        self._try(self.tracker.start, cell)

    def log(self, cell: Cell, step: int, row: Mapping[str, float]) -> None:
        """See ``Tracker.log``."""
        self._try(self.tracker.log, cell, step, row)

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``. A run that is open must be closed even if logging failed before."""
        self.broken, was_broken = False, self.broken
        self._try(self.tracker.finish, cell, summary)
        self.broken = self.broken or was_broken


class WandbTracker:
    """Weights & Biases: one run for each cell, with the cell's run id, against the training time t."""

    def __init__(self, folder: Path, *, mode: str, project: str, entity: str | None, group: str | None) -> None:
        """Choose where runs go; W&B is imported with the first run.

        Args:
            folder: W&B writes its files under ``folder/wandb``.
            mode: ``offline`` or ``online``.
            project: W&B project.
            entity: team or user; None for the account's default.
            group: group of the runs.
        """
        self.folder, self.mode, self.project, self.entity, self.group = folder, mode, project, entity, group
        self.runs: dict[str, Any] = {}

    def start(self, cell: Cell) -> None:
        """See ``Tracker.start``."""
        import wandb  # a second to import, and only this tracker needs it

        self.folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            id=cell.run_id,
            name=cell.label,
            project=self.project,
            entity=self.entity,
            group=self.group,
            mode="online" if self.mode == "online" else "offline",
            dir=str(self.folder),
            resume="allow" if self.mode == "online" else None,
            # Members of an ensemble are runs of one process at the same time; the default would close each other.
            reinit="create_new",
            config={**cell.columns, "cell": cell.label, "science": cell.config},
            settings=wandb.Settings(silent=True, console="off"),
        )
        run.define_metric("t")
        run.define_metric("*", step_metric="t")
        self.runs[cell.run_id] = run

    def log(self, cell: Cell, step: int, row: Mapping[str, float]) -> None:
        """See ``Tracker.log``; ``log10_t`` is added because W&B has logarithmic axes per panel only."""
        log10_t = {"log10_t": math.log10(row["t"])} if row["t"] > 0 else {}
        self.runs[cell.run_id].log({**row, **log10_t}, step=step)

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``."""
        run = self.runs.pop(cell.run_id, None)
        if run is not None:
            run.summary.update(dict(summary))
            run.finish()
