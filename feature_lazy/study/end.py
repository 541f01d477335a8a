"""The end of a sweep, or of one job: how its runs stand, where they are, and what to do next."""

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from feature_lazy.core.redaction import printable
from feature_lazy.core.terminal import console
from feature_lazy.core.words import counted, percent
from feature_lazy.runs.history import last_row
from feature_lazy.runs.progress import duration
from feature_lazy.runs.reading import HISTORY, Run, load_run
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
    _say_next(folder, _after_a_sweep(found))


def show_job_end(folder: Path, run_ids: Sequence[str]) -> None:
    """Print how the runs of one job ended, and below it the commands that come next.

    Args:
        folder: results folder.
        run_ids: the runs; those that are left to other processes are not among them.

    Raises:
        StoreError: one cannot be read.
    """
    runs = [load_run(folder / "runs" / run_id) for run_id in run_ids]
    if runs:
        console().print(_ending(runs), soft_wrap=True, highlight=False)
    _say_next(folder, _after_a_job(folder, runs))


def _ending(runs: Sequence[Run]) -> str:
    """Outcome, time and test error; of several how many have which outcome, the span of times and the mean error."""
    rows = [last_row(run.path / HISTORY) | run.summary for run in runs]  # of one that a budget stopped, the last row
    outcomes = Counter(str(row.get("outcome", "no outcome yet")) for row in rows)
    told = ", ".join(name if len(runs) == 1 else f"{count} {name}" for name, count in outcomes.items())
    times = [row["t"] for row in rows if "t" in row]
    if times:
        told += f" at t = {' … '.join(dict.fromkeys(f'{time:.4g}' for time in (min(times), max(times))))}"
    errors = [row["test/error"] for row in rows if math.isfinite(row.get("test/error", math.nan))]
    if errors:
        told += f", test error {percent(sum(errors) / len(errors))}{' in the mean' if len(errors) > 1 else ''}"
    return printable(told)


def _after_a_sweep(found: Survey) -> Iterator[str]:
    where = shlex.quote(str(found.root))
    if found.having(*WRONG):
        yield f"status {where}"
        yield f"retry {where}"
    elif found.having(RunState.QUEUED, RunState.RUNNING):
        yield f"status {where} --watch"
        if (found.root / "slurm").is_dir():
            yield f"cancel {where}"
    else:
        yield f"figures {where}"
        yield f"report {where}"


def _after_a_job(folder: Path, runs: Sequence[Run]) -> Iterator[str]:
    if not runs:
        yield f"status {shlex.quote(str(folder))}"
    else:
        yield f"show {shlex.quote(str(runs[0].path))}"
    if len(runs) > 1:
        yield f"report {shlex.quote(str(folder))}"


def _say_next(folder: Path, commands: Iterable[str]) -> None:
    """Print commands of ``feature-lazy``, each in a line of its own: one that is broken cannot be pasted."""
    lines = [f"feature-lazy {command}" for command in commands]
    if (tracked := folder / "wandb").is_dir():
        lines.append(f"wandb leet {shlex.quote(str(tracked))}  # every observable over t, without an account")
    for number, line in enumerate(lines):
        console().print(f"{'      ' if number else 'Next: '}{line}", soft_wrap=True, highlight=False)
