"""What a person sees of a sweep: a bar over all runs, and a line for each job that trains."""

import sys
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from feature_lazy.core.terminal import console
from feature_lazy.runs.progress import duration, read_snapshots

REFRESH = 0.5
"""Seconds between two looks at the workers' snapshots."""


class SweepDisplay:
    """Counts runs, and shows them live if a person watches."""

    def __init__(self, total: int, done: int, runs_of_job: Mapping[Any, int]) -> None:
        """Start with ``done`` of ``total`` runs; ``runs_of_job`` says how many each job adds."""
        self.total, self.done, self.runs_of_job = total, done, runs_of_job
        self.trained = 0
        self.started = time.monotonic()

    def finished(self, job: Hashable) -> None:
        """A job is over, well or not."""
        self.trained += self.runs_of_job[job]

    @contextmanager
    def watch(self, *folders: Path) -> Iterator[None]:
        """Show the snapshots in some folders while the body runs; silent where no person watches."""
        if not sys.stdout.isatty():
            yield
            return
        from rich.live import Live

        stop = threading.Event()
        with Live(self._text(folders), console=console(), refresh_per_second=2, transient=True) as live:

            def refresh() -> None:
                while not stop.wait(REFRESH):
                    live.update(self._text(folders))

            thread = threading.Thread(target=refresh, daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()

    def _text(self, folders: Sequence[Path]) -> str:
        snapshots = [snapshot for folder in folders for snapshot in read_snapshots(folder)]
        partial = sum(s.members - s.left for s in snapshots)
        elapsed, now = time.monotonic() - self.started, self.trained + partial
        left = self.total - self.done - now
        to_go = duration(elapsed * left / now) if now else "?"
        bar_width = 30
        filled = bar_width * (self.done + now) // max(1, self.total)
        bar = "━" * filled + "╌" * (bar_width - filled)
        head = f"{bar} {self.done + now}/{self.total} runs, {duration(elapsed)} elapsed, ~{to_go} to go"
        return "\n".join([head, *(f"  {s.line()}" for s in snapshots)])
