"""Stored runs for a tracker: what the store has is all that a tracker is ever told."""

from feature_lazy.runs.reading import Run
from feature_lazy.runs.tracking.interface import Tracker
from feature_lazy.settings.cells import Cell


def cell_of(run: Run) -> Cell:
    """The cell of a stored run, as far as a tracker needs it."""
    return Cell(
        run_id=run.run_id,
        code=list(run.manifest.get("identity", {}).get("code", [])),
        seed=run.columns["seed"],
        config=run.config,
        columns=run.columns,
        resolved=run.manifest.get("resolved", {}),
    )


def replay(run: Run, tracker: Tracker) -> None:
    """Show a stored run as if it had just been trained.

    Raises:
        DamagedRunError: its history is damaged.
    """
    cell = cell_of(run)
    tracker.start(cell, run.rows)
    tracker.finish(cell, run.summary)
