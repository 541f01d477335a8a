"""Cancel the SLURM jobs of runs that are queued or running; what they have done is kept, and can be continued.

A job that trains several runs is cancelled if all of its unfinished runs are meant. Without --yes it shows what it
would cancel.
"""

import argparse
from pathlib import Path

from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument, select, selection_arguments
from feature_lazy.runs.survey import RunState


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    selection_arguments(parser, (RunState.QUEUED, RunState.RUNNING))
    parser.add_argument("--yes", action="store_true", help="cancel, and do not only show")


def call(options: argparse.Namespace) -> int:
    """Cancel, or show; 1 if a job that is meant must stay because it trains runs that are not.

    Raises:
        SlurmError: SLURM is not there, or refuses.
        StoreError: that they were cancelled cannot be written down.
    """
    from feature_lazy.launch.slurm import submissions
    from feature_lazy.launch.slurm.programs import ask, require
    from feature_lazy.launch.slurm.queue import compact, live_jobs
    from feature_lazy.launch.slurm.standing import survey_with_slurm

    require()
    root = Path(options.folder)
    found = survey_with_slurm(root, certain=True)
    meant = {entry.run_id for entry in select(found, options.state, options.where)}
    done = {entry.run_id for entry in found.having(RunState.DONE)}
    jobs: dict[str, set[str]] = {}
    live = live_jobs()
    for submission in submissions.read(root)[0]:  # also earlier jobs of a run, should they live
        jobs |= {job: set(runs) for job, runs in submission.jobs.items() if job in live}
    whole = [job for job, runs in jobs.items() if runs & meant and runs - done <= meant]
    mixed = [job for job, runs in jobs.items() if runs & meant and not runs - done <= meant]
    if mixed:
        say(f"Jobs {compact(mixed)} also train runs that are not meant, and stay; widen --where or --state.")
    if whole and options.yes:
        ask("scancel", *whole)
        submissions.note_cancelled(root, whole)
    verb = "cancelled" if options.yes else "would be cancelled (repeat with --yes)"
    say(f"{counted(len(whole), 'job')}{f' ({compact(whole)})' if whole else ''} {verb}")
    return 1 if mixed else 0
