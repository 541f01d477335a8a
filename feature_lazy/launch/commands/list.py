"""List the runs of results folders: what each is, how it ended, and its errors."""

import argparse
from pathlib import Path
from typing import Any

from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.selection import selection_arguments

COLUMNS = ("h", "sqrt_h_alpha", "seed")
MEASURED = ("test/error", "kernel/change")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    from feature_lazy.runs.survey import RunState

    parser.add_argument("folders", nargs="+", metavar="DIR", help="results folders")
    selection_arguments(parser, tuple(RunState))


def call(options: argparse.Namespace) -> int:
    """List.

    Raises:
        StoreError: a folder without runs.
        SelectionError: a filter that cannot be read.
    """
    from feature_lazy.launch.commands.selection import select
    from feature_lazy.runs.survey import survey

    for folder in options.folders:
        found = survey(Path(folder))
        rows = [["run", *COLUMNS, "state", *MEASURED, "outcome"]]
        for entry in select(found, options.state, options.where):
            summary = entry.run.summary if entry.run else {}
            columns = [_short(entry.columns.get(name)) for name in COLUMNS]
            measured = [_short(summary.get(name)) for name in MEASURED]
            rows.append(
                [entry.run_id, *columns, str(entry.state), *measured, str(summary.get("outcome") or entry.note)]
            )
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        if len(options.folders) > 1:
            say(folder)
        for row in rows:
            say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value or "")
