"""The end of a sweep: how its runs stand, how long it took, where they are, and what to do next."""

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.table import Table

from feature_lazy.core.redaction import printable
from feature_lazy.core.terminal import console
from feature_lazy.core.words import counted
from feature_lazy.runs.progress import duration
from feature_lazy.runs.survey import WRONG, RunState, Survey, survey

MOST = 2
"""Reasons of a state that are shown."""


def show_end(folder: Path, seconds: float) -> None:
    """Print a table of states with the commonest reasons of each, and below it the commands that come next.

    Args:
        folder: results folder.
        seconds: how long the sweep took.

    Raises:
        StoreError: the folder cannot be read.
    """
    found, out = survey(folder), console()
    out.print(f"{folder}: {counted(len(found.entries), 'run')}, {duration(seconds)}", soft_wrap=True, highlight=False)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("state")
    table.add_column("runs", justify="right")
    table.add_column("how")
    for state in RunState:
        if entries := found.having(state):
            notes = Counter(entry.note for entry in entries if entry.note).most_common(MOST)
            table.add_row(str(state), str(len(entries)), printable("; ".join(f"{n} {note}" for note, n in notes)))
    out.print(table)
    for line in _next(folder, found):
        out.print(line, soft_wrap=True, highlight=False)  # what is broken into lines cannot be pasted


def _next(folder: Path, found: Survey) -> Iterator[str]:
    where = shlex.quote(str(folder))
    if found.having(*WRONG):
        yield f"Next: feature-lazy status {where}"
        yield f"      feature-lazy retry {where}"
    elif found.having(RunState.QUEUED, RunState.RUNNING):
        yield f"Next: feature-lazy status {where} --watch"
        if (folder / "slurm").is_dir():
            yield f"      feature-lazy cancel {where}"
    else:
        yield f"Next: feature-lazy figures {where}"
        yield f"      feature-lazy report {where}"
    if (tracked := folder / "wandb").is_dir():
        yield f"      wandb leet {shlex.quote(str(tracked))}  # every observable over t, without an account"
