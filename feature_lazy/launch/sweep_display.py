"""What a person sees of a sweep: a bar over all runs, and a line for each job that trains."""

import sys
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.terminal import console, say
from feature_lazy.core.words import counted
from feature_lazy.runs.progress import Snapshot, duration, read_snapshots

if TYPE_CHECKING:
    from rich.text import Text

REFRESH = 0.5
"""Seconds between two looks at the workers' snapshots."""
PLAIN = 30.0
"""Seconds between two lines where there is no terminal."""


class SweepDisplay:
    """Counts runs, and shows them live if a person watches.

    A run that has ended stays so, whoever says it, and however often: a snapshot, which is gone once its batch is over,
    or the job, which is over some time later. So runs are known by their ids, and none is taken back or counts twice.

    Attributes:
        runs: of the whole sweep.
        ended: those that were done before, or have come to their end since.
    """

    def __init__(
        self, runs: Collection[str], done: Collection[str], runs_of_job: Mapping[Any, Collection[str]]
    ) -> None:
        """Start.

        Args:
            runs: ids of all.
            done: those that are done already.
            runs_of_job: those that each job trains.
        """
        self.runs, self.ended, self.runs_of_job = frozenset(runs), set(done), runs_of_job
        self.done = len(self.ended)
        self.started = time.monotonic()

    def finished(self, job: Hashable) -> None:
        """A job is over, well or not."""
        self.ended |= {*self.runs_of_job[job]}

    @contextmanager
    def watch(self, *folders: Path) -> Iterator[None]:
        """Show the snapshots in some folders while the body runs; a line now and then where no person watches."""
        if not sys.stdout.isatty():
            with _again(PLAIN, lambda: say(self._head(_snapshots(folders)))):
                yield
            return
        from rich.live import Live

        with Live(self._text(folders), console=console(), refresh_per_second=2, transient=True) as live:  # noqa: SIM117
            with _again(REFRESH, lambda: live.update(self._text(folders))):
                yield

    def _text(self, folders: Sequence[Path]) -> "Text":
        """The head and a line for each job, each cut where the terminal ends."""
        from rich.text import Text

        snapshots = _snapshots(folders)
        lines = [self._head(snapshots), *(f"  {snapshot.line()}" for snapshot in snapshots)]
        return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")

    def _head(self, snapshots: Sequence[Snapshot]) -> str:
        self.ended |= self.runs & {run_id for snapshot in snapshots for run_id in snapshot.ended}
        elapsed, ended, total = time.monotonic() - self.started, len(self.ended), len(self.runs)
        now = ended - self.done
        to_go = duration(elapsed * (total - ended) / now) if now else "?"
        bar_width = 30
        filled = bar_width * ended // max(1, total)
        bar = "━" * filled + "╌" * (bar_width - filled)
        return f"{bar} {ended}/{counted(total, 'run')}, {duration(elapsed)} elapsed, ~{to_go} to go"


def _snapshots(folders: Sequence[Path]) -> list[Snapshot]:
    return [snapshot for folder in folders for snapshot in read_snapshots(folder)]


@contextmanager
def _again(seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Look again and again while the body runs, from a thread."""
    stop = threading.Event()

    def every() -> None:
        while not stop.wait(seconds):
            look()

    thread = threading.Thread(target=every, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
