"""Remove what killed processes left behind; with --state also whole runs, or what was asked for and is not wanted.

Complete runs are removed only if --state names them. Nothing that a living process owns is touched. Without --yes it
shows what it would remove.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import exists, listed, remove, remove_folder, temporaries
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument, select, selection_arguments
from feature_lazy.runs.measured import FOLDER as MEASURED
from feature_lazy.runs.plan import forget
from feature_lazy.runs.series import KINDS, part_name
from feature_lazy.runs.store import checkpoint, refuse_linked
from feature_lazy.runs.survey import Entry, RunState, Survey, survey


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
    if options.yes:
        refuse_linked(found.root)
    meant = select(found, options.state, options.where)
    chosen = [entry for entry in meant if entry.state not in (RunState.RUNNING, RunState.UNREADABLE)]
    left = list(leftovers(found))
    queued = [entry for entry in chosen if entry.state is RunState.QUEUED]
    runs = [entry for entry in chosen if entry.state is not RunState.QUEUED]
    for path in [*left, *(found.folder(entry) for entry in runs)]:
        say(path)
    verb = "removed" if options.yes else "would be removed (repeat with --yes)"
    if options.yes:
        try:
            for path in left:
                remove(path, below=found.root)
            runs = [entry for entry in runs if _remove(found, entry)]
        except OSError as error:
            raise StoreError(f"{error.filename} cannot be removed ({error.strerror}).") from error
        if queued:
            forget(found.root, {entry.run_id for entry in queued})
    counts = f"{counted(len(runs), 'run')} and {counted(len(queued), 'queued run')}"
    say(f"{counted(len(left), 'leftover')}, {counts} {verb}")
    return 0


def _remove(found: Survey, before: Entry) -> bool:
    """Remove a run, unless it stands otherwise by now; whether it did.

    Raises:
        OSError: it cannot be removed.
    """
    folder = found.folder(before)
    now = found.again(before)
    if now.state is not before.state:
        say(f"{folder} is {now.state} by now, and stays: {now.note}", error=True)
        return False
    remove_folder(folder, below=found.root)
    return True


def leftovers(found: Survey) -> Iterator[Path]:
    """Half-written files of runs that nobody trains, and checkpoints, owners and growing arrays of complete ones."""
    for entry in found.entries:
        folder = found.folder(entry)
        if entry.state is RunState.UNREADABLE:
            continue
        if entry.state not in (RunState.RUNNING, RunState.QUEUED):
            yield from [*temporaries(folder), *temporaries(folder / MEASURED)]
        if entry.state is RunState.DONE and not _goes_on(found, entry):
            yield from checkpoint.paths(folder)
            yield from listed(folder, "owner-*.json")
        if entry.state is RunState.DONE:
            yield from (path for kind in KINDS if exists(path := folder / part_name(kind)))
    for folder in ("runs", "plans", "sources"):
        yield from temporaries(found.root / folder)


def _goes_on(found: Survey, entry: Entry) -> bool:
    """Whether an unfinished batch still wants a complete run's checkpoint, to go on as it was."""
    unfinished = {e.run_id for e in found.entries if e.state is not RunState.DONE}
    try:
        saved = [checkpoint.read(path) for path in checkpoint.paths(found.folder(entry))]
    except OSError:
        return True  # one that cannot be read now may be wanted
    return any(s is not None and unfinished & set(s.moment.alive) for s in saved)
