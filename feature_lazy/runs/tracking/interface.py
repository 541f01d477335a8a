"""What a tracker is: three calls. A class of a user's own needs these and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from feature_lazy.runs.history import Row
from feature_lazy.settings.cells import Cell


class Tracker(Protocol):
    """Shows runs; each call names its cell. Calls come from one thread, one at a time, beside the training."""

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        """A cell begins, or continues, to train.

        A run that goes on from a checkpoint observes again, bit for bit, what it had observed after it. So a tracker
        that already has more than ``rows`` either begins anew from them, or leaves out the steps that it has.

        Args:
            cell: the run: its id, columns to sort by, and configuration.
            rows: its observations so far, steps 0, 1, …; empty at t = 0.
        """
        ...

    def log(self, cell: Cell, step: int, row: Row) -> None:
        """One observation, the ``step``-th of this cell: t and every scalar observable, by name."""
        ...

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """The cell is done, or stopped for now: ``summary["outcome"]`` says which."""
        ...
