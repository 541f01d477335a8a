"""How the runs of a results folder stand: a grid of states, what is running, what failed and why.

Works from the files, while jobs run, on any machine that sees the folder; of runs that SLURM was given, squeue and
sacct are asked too, where they are.
"""

import argparse
import json
import time
from pathlib import Path

from feature_lazy.core.terminal import console, say
from feature_lazy.launch.commands.selection import folder_argument, where_argument
from feature_lazy.runs.survey import WRONG, RunState, Survey

REFRESH = 5.0
"""Seconds between two looks with ``--watch``."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object, for programs")
    parser.add_argument("--watch", action="store_true", help=f"look again every {REFRESH:g} s until nothing is left")
    where_argument(parser)


def call(options: argparse.Namespace) -> int:
    """Show the folder; 1 if a run failed or is damaged, so that scripts can ask."""
    root = Path(options.folder)
    found = _look(root, options)
    if options.json:
        say(json.dumps(as_json(found), indent=1))
    elif options.watch:
        found = _watch(root, options, found)
    else:
        from feature_lazy.launch.status_display import render

        console().print(render(found))
    return 1 if found.having(*WRONG) else 0


def _look(root: Path, options: argparse.Namespace) -> Survey:
    from feature_lazy.launch.commands.selection import select
    from feature_lazy.launch.slurm.standing import survey_with_slurm

    found = survey_with_slurm(root)
    return Survey(root, select(found, ",".join(RunState), options.where), found.problems)


def _watch(root: Path, options: argparse.Namespace, found: Survey) -> Survey:
    """Show the folder until nothing is queued or running, or a person has seen enough."""
    from rich.live import Live

    from feature_lazy.launch.status_display import render

    try:
        with Live(render(found), console=console(), auto_refresh=False) as live:
            while found.having(RunState.QUEUED, RunState.RUNNING):
                time.sleep(REFRESH)
                found = _look(root, options)
                live.update(render(found), refresh=True)
    except KeyboardInterrupt:
        pass
    return found


def as_json(found: Survey) -> dict[str, object]:
    """The survey as plain values."""
    runs = [
        {
            "run_id": entry.run_id,
            "state": str(entry.state),
            "columns": entry.columns,
            "progress": entry.progress,
            "t": entry.row.get("t"),
            "owner": entry.owner,
            "note": entry.note,
        }
        for entry in found.entries
    ]
    counts = {str(state): len(found.having(state)) for state in RunState}
    return {"folder": str(found.root), "counts": counts, "runs": runs, "problems": found.problems}
