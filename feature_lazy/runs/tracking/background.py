"""Trackers beside the training: in a thread of their own, and never in its way."""

import logging
import math
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from feature_lazy.core.redaction import redact
from feature_lazy.runs.history import Row
from feature_lazy.runs.tracking.interface import Tracker
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)
PATIENCE = 60.0
"""Seconds that the end of a training waits for its trackers."""
HURRY = 5.0
"""The same where something has asked to stop."""


class Guarded:
    """A tracker whose first failure is logged in one sentence, and which is then left alone."""

    def __init__(self, name: str, make: Callable[[], Tracker]) -> None:
        """Guard what is made with the first run, so that nothing slow is imported before."""
        self.name, self.make = name, make
        self.tracker: Tracker | None = None
        self.broken = False

    def call(self, method: str, *arguments: Any) -> None:
        """Pass a call on. A run that is open is closed even if another call has failed before."""
        if self.broken and (method != "finish" or self.tracker is None):
            return
        try:
            self.tracker = self.tracker or self.make()
            getattr(self.tracker, method)(*arguments)
        except Exception as error:
            if not self.broken:
                text = " ".join(redact(f"{type(error).__name__}: {error}").split())
                log.warning("Tracking by %s stopped, training goes on: %s", self.name, text)
            self.broken = True


class Trackers:
    """All trackers of an experiment. Calls return at once: a thread passes them on, in order."""

    def __init__(self, makers: Mapping[str, Callable[[], Tracker]]) -> None:
        """Prepare.

        Args:
            makers: what makes each tracker, by a name for messages; it is called with the first run.
        """
        self.guarded = [Guarded(name, make) for name, make in makers.items()]
        self.calls: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        self._put("start", cell, [_storable(row) for row in rows])

    def log(self, cell: Cell, step: int, row: Row) -> None:
        self._put("log", cell, step, _storable(row))

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        self._put("finish", cell, dict(summary))

    def close(self, patience: float = PATIENCE) -> None:
        """Wait until the trackers have had all calls, but no longer than ``patience`` seconds; one that hangs is left.

        Afterwards the next call begins again.
        """
        if self.thread is None:
            return
        self.calls.put(None)
        self.thread.join(patience)
        if self.thread.is_alive():
            names = ", ".join(one.name for one in self.guarded)
            log.warning(
                "Tracking by %s has not ended after %g s, and is left behind; runs are stored.", names, patience
            )
            for one in self.guarded:
                one.broken = True  # so that its end, whenever it comes, is not told
            self.guarded = []
        self.thread = None

    def _put(self, *call: Any) -> None:
        if not self.guarded:
            return
        self.calls.put(call)
        if self.thread is None:
            self.thread = threading.Thread(target=self._pass_on, daemon=True, name="tracking")
            self.thread.start()

    def _pass_on(self) -> None:
        while (call := self.calls.get()) is not None:
            for guarded in self.guarded:
                guarded.call(*call)


def _storable(row: Row) -> dict[str, float]:
    """A row as the store gives it back, which has NaN for infinities too."""
    return {name: value if math.isfinite(value) else math.nan for name, value in row.items()}
