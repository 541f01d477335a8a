"""Check every file of every run against its manifest's checksums.

Names what is damaged, and exits with 1 if anything is.
"""

import argparse
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.selection import folder_argument
from feature_lazy.runs.survey import RunState, survey


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)


def call(options: argparse.Namespace) -> int:
    """Check all complete runs; of others there is nothing to check yet."""
    from feature_lazy.launch.progress_bar import progress_bar

    found = survey(Path(options.folder))
    problems = list(found.problems)
    problems += [
        f"{found.root / 'runs' / e.run_id}: {e.note}" for e in found.having(RunState.DAMAGED, RunState.UNREADABLE)
    ]
    complete = [entry.run for entry in found.having(RunState.DONE) if entry.run is not None]
    with progress_bar("verify") as progress:
        for number, run in enumerate(complete, start=1):
            try:
                run.verify()
            except StoreError as error:
                problems.append(str(error))
            progress(number, len(complete))
    for problem in problems:
        say(problem, error=True)
    say(f"{len(complete)} complete runs checked, {len(problems)} problems")
    return 1 if problems else 0
