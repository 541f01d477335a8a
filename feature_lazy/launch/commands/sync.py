"""Send stored runs to Weights & Biases, from a machine that reaches it: a cluster's login node, say.

Runs are sent from the store, whatever had become of W&B's own files; the server says which observations it has already,
and gets the others. What has been sent is noted in DIR/wandb/synced, so the command may be stopped and repeated. Runs
that are being trained are left for another time. Log in first: wandb login, or WANDB_API_KEY. Where the runs go is
shown, and asked for where only their own configuration says it.
"""

import argparse
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from feature_lazy.core.terminal import console, say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument, select, selection_arguments
from feature_lazy.runs.survey import RunState, survey

if TYPE_CHECKING:
    from feature_lazy.runs.tracking.sync import Parcel, Sender

STATES = (RunState.DONE, RunState.STOPPED, RunState.INTERRUPTED, RunState.FAILED)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    selection_arguments(parser, STATES)
    parser.add_argument("--project", help="project (default: that of each run's configuration)")
    parser.add_argument("--entity", help="team or user (default: that of each run's configuration)")
    parser.add_argument("--all", action="store_true", help="runs that were trained without tracking=wandb, too")
    parser.add_argument("--yes", action="store_true", help="do not ask whether to send them where they say")
    parser.add_argument("--parallel", type=int, default=8, metavar="N", help="runs at a time (default: 8)")


def call(options: argparse.Namespace) -> int:
    """Send; 1 if something is left that could have been sent."""
    from feature_lazy.runs.tracking.sync import Sender, parcels

    found = survey(Path(options.folder))
    chosen = select(found, options.state, options.where)
    running = [entry for entry in chosen if entry.state is RunState.RUNNING]
    wanted = parcels(found, [entry for entry in chosen if entry not in running], everything=options.all)
    changes = {name: value for name in ("project", "entity") if (value := getattr(options, name))}
    todo = [replace(parcel, place=replace(parcel.place, **changes)) for parcel in wanted]
    if not todo:
        say("There is nothing to send: no run was trained with tracking=wandb; --all sends the others, too.")
        return 0
    sender = Sender(found.root)
    waiting = [parcel for parcel in todo if not parcel.complete]
    left = [parcel for parcel in todo if parcel.complete and not sender.has_sent(parcel)]
    before = len(todo) - len(waiting) - len(left)
    if left and not _agreed(sender, left, options):
        return 1
    failures = _send(sender, left, max(1, options.parallel)) if left else {}
    for reason in dict.fromkeys(failures.values()):
        say(reason, error=True)
    sent = len(left) - len(failures)
    say(f"{sent} sent, {before} had been sent before, {len(failures)} left")
    if running or waiting:
        trained, lacking = counted(len(running), "run"), counted(len(waiting), "ensemble")
        say(f"for another time: {trained} being trained, {lacking} without all members")
    return 1 if failures else 0


def _agreed(sender: "Sender", left: "Sequence[Parcel]", options: argparse.Namespace) -> bool:
    """Say where runs will be sent, and ask, unless the command line names it all: a stored run says what it likes."""
    for place, count in Counter(str(parcel.place) for parcel in left).items():
        say(f"{counted(count, 'run')} to {sender.server}: {place}")
    stored = not options.project or any(parcel.place.entity and not options.entity for parcel in left)
    if options.yes or not stored:
        return True
    if not sys.stdin.isatty():
        say("The runs say so, and not this command: repeat it with --yes, or with --project and --entity.", error=True)
        return False
    say("Send them? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _send(sender: "Sender", left: "Sequence[Parcel]", parallel: int) -> dict[str, str]:
    """Send parcels under a progress bar; why each of those that are left is.

    If as many as are under way at a time have failed and none has arrived, the others are not tried: with a server out
    of reach each would wait.

    Raises:
        KeyboardInterrupt: a person stopped it; what has been sent is noted.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    failures: dict[str, str] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    arrived, over = 0, threading.Event()

    def send(parcel: "Parcel") -> str | None:
        return "The others were not tried." if over.is_set() else sender.send(parcel)

    with Progress(*columns, console=console(stderr=True), transient=True) as bar, ThreadPoolExecutor(parallel) as pool:
        task = bar.add_task("runs", total=len(left))
        futures = {pool.submit(send, parcel): parcel for parcel in left}
        try:
            for future in as_completed(futures):
                if (reason := future.result()) is None:
                    arrived += 1
                else:
                    failures[futures[future].run_id] = reason
                bar.advance(task)
                if not arrived and len(failures) >= parallel:
                    over.set()
        except KeyboardInterrupt:
            over.set()
            raise
    return failures
