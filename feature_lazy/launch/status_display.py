"""A survey of a results folder on the terminal."""

import time
from calendar import timegm
from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from feature_lazy.core.redaction import printable
from feature_lazy.core.words import counted
from feature_lazy.runs.progress import duration
from feature_lazy.runs.survey import WRONG, Entry, RunState, Survey

LOOK = {
    RunState.DONE: ("green", "✓"),
    RunState.RUNNING: ("cyan", "▶"),
    RunState.QUEUED: ("dim", "·"),
    RunState.STOPPED: ("yellow", "‖"),
    RunState.INTERRUPTED: ("yellow", "↯"),
    RunState.FAILED: ("red", "✗"),
    RunState.DAMAGED: ("red", "!"),
    RunState.UNREADABLE: ("magenta", "?"),
}
"""Colour and sign of each state; the sign tells them apart without the colour."""
MOST = 12
"""Rows of a list before the rest is counted."""
AXES = ("sqrt_h_alpha", "h")
NAMES = {"sqrt_h_alpha": "√h·α"}


def render(found: Survey) -> RenderableType:
    """Counts, grid, running runs, failures by reason, what is new and why, and problems."""
    parts: list[RenderableType] = [_counts(found)]
    if len(found.entries) > 1:
        parts.append(_grid(found.entries))
    if running := found.having(RunState.RUNNING):
        parts.append(_running(running))
    parts += _reasons(found)
    parts += [Text(printable(problem), style="red") for problem in found.problems[:MOST]]
    return Group(*parts)


def _counts(found: Survey) -> Text:
    text = Text(f"{found.root}: {counted(len(found.entries), 'run')}", style="bold")
    for state in RunState:
        if entries := found.having(state):
            text.append(f"  {LOOK[state][1]} {len(entries)} {state}", style=LOOK[state][0])
    if (to_go := time_to_go(found)) is not None:
        text.append(f"  ~{duration(to_go)} to go", style="bold")
    return text


def time_to_go(found: Survey) -> float | None:
    """Seconds until all is done if as many runs train at once as do now, each as long as those that are done; rough."""
    left = found.having(RunState.RUNNING, RunState.QUEUED)
    running = len(found.having(RunState.RUNNING))
    costs = [entry.seconds for entry in found.having(RunState.DONE)]
    if not left or not running or not costs:
        return None
    return sum(1 - entry.progress for entry in left) * sum(costs) / len(costs) / running


def _grid(entries: Sequence[Entry]) -> Table:
    """Signs and numbers of runs in each state over √h·α × h."""
    row_key, column_key = AXES
    columns = sorted({entry.columns.get(column_key) for entry in entries}, key=_sortable)
    table = Table(title="runs by state")
    table.add_column(NAMES.get(row_key, row_key), justify="right")
    for value in columns:
        table.add_column(f"{column_key} = {_written(value)}")
    for value in sorted({entry.columns.get(row_key) for entry in entries}, key=_sortable):
        here = [entry for entry in entries if entry.columns.get(row_key) == value]
        cells = [_cell([e for e in here if e.columns.get(column_key) == other]) for other in columns]
        table.add_row(_written(value), *cells)
    return table


def _cell(entries: Sequence[Entry]) -> Text:
    text = Text()
    counts = Counter(entry.state for entry in entries)
    for state in RunState:
        if counts[state]:
            text.append(f"{LOOK[state][1]}{counts[state]} ", style=LOOK[state][0])
    return text


def _running(entries: Sequence[Entry]) -> Table:
    table = Table(title="running")
    for name in ("√h·α", "h", "seed", "t", "loss", "fit", "for", "by"):
        table.add_column(name, justify="left" if name == "by" else "right")
    for entry in entries[:MOST]:
        columns, row = entry.columns, entry.row
        where = [_written(columns.get(key)) for key in ("sqrt_h_alpha", "h", "seed")]
        now = [_written(row.get(key)) for key in ("t", "train/loss")]
        table.add_row(*where, *now, f"{entry.progress:.0%}", _since(entry), printable(entry.owner))
    if len(entries) > MOST:
        table.caption = f"and {len(entries) - MOST} more"
    return table


def _since(entry: Entry) -> str:
    """How long the process that trains it has done so."""
    segments = entry.run.provenance.get("segments") if entry.run else None
    try:
        started = timegm(time.strptime(segments[-1]["started"], "%Y-%m-%dT%H:%M:%SZ")) if segments else None
    except (KeyError, TypeError, ValueError):
        return ""
    return "" if started is None else duration(max(0.0, time.time() - started))


def _reasons(found: Survey) -> list[RenderableType]:
    """How many runs have which story, for each state that has any, and where one such run is."""
    parts: list[RenderableType] = []
    for state in (*WRONG, RunState.INTERRUPTED, RunState.STOPPED, RunState.QUEUED, RunState.DONE):
        stories = Counter(entry.note for entry in found.having(state) if entry.note)
        for note, count in stories.most_common(MOST):
            if state is RunState.DONE and note in ("converged", "stationary", "t_end"):
                continue
            first = next(entry for entry in found.having(state) if entry.note == note)
            where = f"  ({found.root / 'runs' / first.run_id})" if state in WRONG else ""
            parts.append(Text(f"{LOOK[state][1]} {count} {state}: {printable(note)}{where}", style=LOOK[state][0]))
    return parts


def _sortable(value: object) -> tuple[bool, float, str]:
    number = isinstance(value, int | float)
    return (not number, float(value) if isinstance(value, int | float) else 0.0, str(value))


def _written(value: object) -> str:
    if value is None:
        return "?"
    return f"{value:.4g}" if isinstance(value, int | float) else printable(str(value))
