"""Remove what killed processes left behind; with --state also whole runs, or what was asked for and is not wanted.

Complete runs are removed only if --state names them. Nothing that a living process owns is touched. Without --yes it
shows what it would remove.
"""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import temporaries
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument, select, selection_arguments
from feature_lazy.runs.measured import FOLDER as MEASURED
from feature_lazy.runs.plan import forget
from feature_lazy.runs.series import KINDS, part_name
from feature_lazy.runs.store import checkpoint
from feature_lazy.runs.survey import Entry, State, Survey, survey


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    selection_arguments(parser, ())
    parser.add_argument("--yes", action="store_true", help="remove, and do not only show")


def call(options: argparse.Namespace) -> int:
    """Remove, or show.

    Raises:
        StoreError: something cannot be removed.
    """
    found = survey(Path(options.folder))
    chosen = [entry for entry in select(found, options.state, options.where) if entry.state is not State.RUNNING]
    left = list(leftovers(found))
    queued = [entry for entry in chosen if entry.state is State.QUEUED]
    folders = [found.root / "runs" / entry.run_id for entry in chosen if entry.state is not State.QUEUED]
    for path in [*left, *folders]:
        print(path)
    verb = "removed" if options.yes else "would be removed (repeat with --yes)"
    if options.yes:
        try:
            for path in left:
                path.unlink(missing_ok=True)
            for folder in folders:
                shutil.rmtree(folder)
        except OSError as error:
            raise StoreError(f"{error.filename} cannot be removed ({error.strerror}).") from error
        if queued:
            forget(found.root, {entry.run_id for entry in queued})
    runs = f"{counted(len(folders), 'run')} and {counted(len(queued), 'queued run')}"
    print(f"{counted(len(left), 'leftover')}, {runs} {verb}")
    return 0


def leftovers(found: Survey) -> Iterator[Path]:
    """Half-written files of runs that nobody trains, and checkpoints, owners and growing arrays of complete ones."""
    for entry in found.entries:
        folder = found.root / "runs" / entry.run_id
        if entry.state not in (State.RUNNING, State.QUEUED):
            yield from [*temporaries(folder), *temporaries(folder / MEASURED)]
        if entry.state is State.DONE and not _goes_on(found, entry):
            yield from checkpoint.paths(folder)
            yield from sorted(folder.glob("owner-*.json"))
        if entry.state is State.DONE:
            yield from (path for kind in KINDS if (path := folder / part_name(kind)).is_file())
    for folder in ("runs", "plans", "sources"):
        yield from temporaries(found.root / folder)


def _goes_on(found: Survey, entry: Entry) -> bool:
    """Whether an unfinished batch still wants a complete run's checkpoint, to go on as it was."""
    unfinished = {e.run_id for e in found.entries if e.state is not State.DONE}
    saved = [checkpoint.read(path) for path in checkpoint.paths(found.root / "runs" / entry.run_id)]
    return any(s is not None and unfinished & set(s.moment.alive) for s in saved)
