"""What a person sees of a run: a live line on a terminal, plain lines in a log, a small file for a parent process."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from feature_lazy.core.files import HEAD, listed, read_regular, remove, write_atomically
from feature_lazy.core.terminal import console
from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)
PROGRESS_FILE = "FEATURE_LAZY_PROGRESS"
"""Environment variable: where a worker of a sweep leaves its ``Snapshot`` for the parent."""
LARGEST = 16 * HEAD
"""Bytes of a snapshot: 50 000 ids of runs."""
LOG_EVERY = 10.0
"""Seconds between plain lines about a batch."""


@dataclass(frozen=True)
class Snapshot:
    """A batch at one moment.

    Attributes:
        name: the batch.
        t: latest observed training time of any member.
        loss: mean training loss α²𝓛 over members, each at its last observation.
        error: mean test error over members, likewise; None at t = 0, where F = 0 decides for no class.
        left: members that still train.
        members: members of the batch.
        elapsed: seconds since the start.
        to_go: estimated seconds that remain, None if nothing can be said yet.
        ended: run ids of the members that have come to their end, and do not go on by themselves.
    """

    name: str
    t: float
    loss: float
    error: float | None
    left: int
    members: int
    elapsed: float
    to_go: float | None
    ended: Sequence[str] = ()

    def line(self) -> str:
        """One line for a person."""
        to_go = "?" if self.to_go is None else duration(self.to_go)
        error = "–" if self.error is None else f"{self.error:.1%}"
        return (
            f"{self.name}  t={self.t:<8.3g} loss={self.loss:<8.3g} error={error:<6} "
            f"{self.left}/{self.members} train, {duration(self.elapsed)}, ~{to_go} to go"
        )


def duration(seconds: float) -> str:
    """Seconds as 5s, 3m20s or 2h05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


class Progress(Protocol):
    """Told of every observation and of every member that leaves the batch."""

    def observed(self, cell: Cell, row: Mapping[str, float]) -> None:
        """A cell was observed."""
        ...

    def finished(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """A cell is done, or stopped by a budget."""
        ...


class Sink(Protocol):
    """Where snapshots go."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the batch as it is now."""
        ...

    def close(self) -> None:
        """The batch is over."""
        ...


class BatchProgress:
    """Keeps the last observation of each cell, and gives snapshots to sinks."""

    def __init__(self, name: str, cells: Sequence[Cell], n_train: int, sinks: Sequence[Sink]) -> None:
        """Watch the cells that are trained together, on n_train patterns."""
        self.name, self.n_train, self.sinks = name, n_train, sinks
        self.left = {cell.run_id for cell in cells}
        self.members = len(self.left)
        self.ended: list[str] = []
        self.rows: dict[str, Mapping[str, float]] = {}
        self.started = time.monotonic()

    def observed(self, cell: Cell, row: Mapping[str, float]) -> None:
        self.rows[cell.run_id] = row
        self._show()

    def finished(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        self.left.discard(cell.run_id)
        if summary["outcome"] != Outcome.INTERRUPTED:  # else a job that is put back into the queue goes on with it
            self.ended.append(cell.run_id)
        log.info(
            "%s: %s at t = %.4g after %d steps, kernel change %s",
            cell.label,
            summary["outcome"],
            summary["t"],
            summary["steps"],
            f"{summary['kernel/change']:.3g}" if "kernel/change" in summary else "not measured",
        )
        self._show()
        if not self.left:
            self.close()

    def close(self) -> None:
        """Close all sinks."""
        for sink in self.sinks:
            sink.close()

    def _show(self) -> None:
        rows = list(self.rows.values())
        elapsed = time.monotonic() - self.started
        if not rows:
            return
        errors = [row["test/error"] for row in rows if row["t"] > 0]
        snapshot = Snapshot(
            name=self.name,
            t=max(row["t"] for row in rows),
            loss=sum(row["train/loss"] for row in rows) / len(rows),
            error=sum(errors) / len(errors) if errors else None,
            left=len(self.left),
            members=self.members,
            elapsed=elapsed,
            to_go=self._to_go(elapsed),
            ended=tuple(self.ended),
        )
        for sink in self.sinks:
            sink.show(snapshot)

    def _to_go(self, elapsed: float) -> float | None:
        """Time that remains if patterns go on being fitted at the mean rate so far: rough, and better than nothing."""
        unfit = sum(self.rows[i]["train/unfit"] if i in self.rows else self.n_train for i in self.left)
        fitted = 1 - unfit / (self.members * self.n_train)
        return elapsed * (1 - fitted) / fitted if fitted > 0.01 else None


class LogLines:
    """A plain line now and then."""

    def __init__(self) -> None:
        """The first line comes after ``LOG_EVERY`` seconds."""
        self.last = time.monotonic()

    def show(self, snapshot: Snapshot) -> None:
        if time.monotonic() - self.last >= LOG_EVERY:
            self.last = time.monotonic()
            log.info("%s", snapshot.line())

    def close(self) -> None:
        """See ``Sink.close``."""


class LiveLine:
    """One line on the terminal that is written over."""

    def __init__(self) -> None:
        """Start the display."""
        from rich.live import Live

        self.live = Live(console=console(), refresh_per_second=4, transient=True)
        self.live.start()

    def show(self, snapshot: Snapshot) -> None:
        self.live.update(snapshot.line())

    def close(self) -> None:
        self.live.stop()


class SnapshotFile:
    """The latest snapshot as a small JSON file, which a parent process shows; gone when the batch is over."""

    def __init__(self, path: Path) -> None:
        """Write to this path."""
        self.path = path

    def show(self, snapshot: Snapshot) -> None:
        """See ``Sink.show``; never fails a run."""
        try:
            write_atomically(self.path, json.dumps(asdict(snapshot)).encode(), below=self.path.parent, sync=False)
        except OSError:
            log.debug("progress file %s cannot be written", self.path)

    def close(self) -> None:
        with suppress(OSError):
            remove(self.path, below=self.path.parent)


def read_snapshots(folder: Path) -> list[Snapshot]:
    """The snapshots that workers have left in a folder; files that are being replaced are passed over."""
    found = []
    for path in listed(folder, "*.json"):
        try:
            found.append(Snapshot(**json.loads(read_regular(path, limit=LARGEST))))
        except (OSError, ValueError, TypeError, RecursionError):
            continue
    return found


def own_progress() -> None:
    """Give this process a progress file of its own, where several inherited one."""
    if (path := os.environ.get(PROGRESS_FILE)) and f".{os.getpid()}." not in path:
        os.environ[PROGRESS_FILE] = str(Path(path).with_suffix(f".{os.getpid()}.json"))


def progress_for(cells: Sequence[Cell], name: str, n_train: int) -> BatchProgress:
    """The sinks that fit where this process runs: log lines always, and a file for a parent or a live line."""
    sinks: list[Sink] = [LogLines()]
    if path := os.environ.get(PROGRESS_FILE):
        sinks.append(SnapshotFile(Path(path)))
    elif sys.stdout.isatty():
        sinks.append(LiveLine())
    return BatchProgress(name, cells, n_train, sinks)


class Silent:
    """Progress that nobody sees."""

    def observed(self, cell: Cell, row: Mapping[str, float]) -> None:
        """See ``Progress.observed``."""

    def finished(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Progress.finished``."""
