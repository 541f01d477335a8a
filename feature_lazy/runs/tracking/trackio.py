"""Trackio: a local database of runs with a dashboard of its own (``trackio show``)."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from feature_lazy.runs.history import Row
from feature_lazy.runs.tracking.options import Tracked
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option


@option("tracking", "trackio")
class TrackioTracking(Tracked):
    """Trackio, in its own folder (pip install trackio)."""

    project: str = key("feature_lazy", "project name")

    def maker(self, root: Path) -> "Callable[[], Trackio]":
        return lambda: Trackio(self.project, root.resolve().name)


class Trackio:
    """One run for each cell, named by its run id; of a run that goes on the database's one is replaced."""

    def __init__(self, project: str, group: str) -> None:
        """Choose project and group.

        Raises:
            ImportError: Trackio is not installed.
        """
        try:
            import trackio  # pyright: ignore[reportMissingImports] - optional
        except ImportError as error:
            raise ImportError("install it with: pip install trackio") from error
        self.trackio, self.project, self.group = trackio, project, group
        self.runs: dict[str, Any] = {}

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        with suppress(ValueError):  # the project has no run yet
            for old in list(self.trackio.Api().runs(self.project)):
                if old.name == cell.run_id:
                    old.delete()
        self.runs[cell.run_id] = self.trackio.init(
            self.project,
            name=cell.run_id,
            group=self.group,
            config={**cell.columns, "label": cell.label},
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        for step, row in enumerate(rows):
            self.log(cell, step, row)

    def log(self, cell: Cell, step: int, row: Row) -> None:
        self.runs[cell.run_id].log(dict(row), step=step)

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``; Trackio has no summary but the last values, so it is part of the configuration."""
        run = self.runs.pop(cell.run_id, None)
        if run is not None:
            run.config.update({"summary": dict(summary)})
            run.finish()
