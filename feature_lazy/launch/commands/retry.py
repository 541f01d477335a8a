"""Train what failed or was interrupted, with the configuration that it was asked for with.

It imports the modules that the configurations name: use it on folders that are yours; --dry-run imports nothing.
Runs that were trained on SLURM are submitted again with the same launcher settings, unless --here; others are trained
here and now. With --state queued,failed,interrupted,stopped it trains whatever is missing and is not in the queue.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument, select, selection_arguments
from feature_lazy.runs.survey import Entry, RunState

if TYPE_CHECKING:
    from feature_lazy.launch.slurm.submissions import Submission
    from feature_lazy.runs.job import Job

UNTOLD = "does not say how it was trained"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    selection_arguments(parser, (RunState.FAILED, RunState.INTERRUPTED))
    parser.add_argument("--here", action="store_true", help="train on this machine what SLURM was given before")
    parser.add_argument("--wait", action="store_true", help="wait for SLURM's jobs")
    parser.add_argument("--n-jobs", type=int, default=0, help="processes on this machine (default: one for each core)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be trained")


def call(options: argparse.Namespace) -> int:
    """Train; 1 if something failed again.

    Raises:
        SlurmError: SLURM does not say what is in its queue, or refuses.
    """
    from feature_lazy.launch.slurm import submissions
    from feature_lazy.launch.slurm.standing import survey_with_slurm

    found = survey_with_slurm(Path(options.folder), certain=True)
    chosen = [
        e for e in select(found, options.state, options.where) if e.state is not RunState.RUNNING and not e.in_queue
    ]
    # Such as an empty folder: it says nothing of how it was trained, and keeps no other run from being trained.
    unknown = [e for e in chosen if e.job is None and (e.run is None or "resolved" not in e.run.manifest)]
    if len(unknown) < len(chosen):
        chosen = [entry for entry in chosen if entry not in unknown]
        for entry in unknown:
            say(f"{found.root / 'runs' / entry.run_id} {UNTOLD}, and is left alone", error=True)
    before = {} if options.here else submissions.assignments(submissions.read(found.root)[0])
    here = [entry for entry in chosen if entry.run_id not in before]
    say(f"{counted(len(chosen), 'run')}, {len(chosen) - len(here)} of them on SLURM")
    if options.dry_run or not chosen:
        for entry in chosen:
            say(f"{entry.run_id} {entry.state} {entry.note}")
        return 0
    ours = group(here, found.root)  # it imports what the configurations name, which a dry run must not
    failed = 0
    for submission, run_ids in _by_submission(
        {e.run_id: before[e.run_id].submission for e in chosen if e.run_id in before}
    ):
        failed += _submit(
            found.root, submission, group([e for e in chosen if e.run_id in run_ids], found.root), options.wait
        )
    return 1 if failed + _here(ours, options.n_jobs or os.cpu_count() or 1, found.root) else 0


def group(entries: Iterable[Entry], root: Path) -> "list[Job]":
    """Jobs that train some runs: together what was together, stored where they are.

    Raises:
        ConfigError: a configuration that this version does not know, or makes other runs of.
    """
    from feature_lazy.runs.job import Job
    from feature_lazy.settings.schema import from_plain

    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for entry in entries:
        if entry.job is not None:
            key, config = entry.job.runs[0].run_id, entry.job.config
        elif entry.run is not None and "resolved" in entry.run.manifest:
            key, config = entry.run_id, entry.run.manifest["resolved"]
        else:
            raise ConfigError(f"{root / 'runs' / entry.run_id} {UNTOLD}; repeat the command that began it.")
        found.setdefault(key, (config, []))[1].append(entry.run_id)
    parts = [Job(replace(from_plain(c, trusted=True), output_dir=str(root)), tuple(ids)) for c, ids in found.values()]
    for part in parts:
        if gone := set(part.run_ids) - {cell.run_id for cell in part.cells}:
            raise ConfigError(
                f"{', '.join(sorted(gone))}: this source makes another run of that configuration (feature-lazy status "
                "says why), so these cannot be trained any more; repeat the command for the new ones, or check out the "
                "source that their manifests name."
            )
    return parts


def _here(parts: "Sequence[Job]", n_jobs: int, root: Path) -> int:
    """Train on this machine; how many jobs failed."""
    from feature_lazy.launch.parallel import train_all

    if not parts:
        return 0
    failures = train_all(parts, n_jobs)
    for failure in failures:
        say(failure)
    say(f"{len(parts) - len(failures)} of {counted(len(parts), 'job')} done; see: feature-lazy status {root}")
    return len(failures)


def _by_submission(given: "dict[str, Submission]") -> "Iterable[tuple[Submission, set[str]]]":
    """Runs whose submissions had the same settings, with the latest of these."""
    found: dict[str, tuple[Submission, set[str]]] = {}
    for run_id, submission in given.items():
        latest, run_ids = found.setdefault(repr(submission.settings), (submission, set()))
        run_ids.add(run_id)
        found[repr(submission.settings)] = (max(latest, submission, key=lambda s: s.name), run_ids)
    return found.values()


def _submit(root: Path, before: "Submission", parts: "Sequence[Job]", wait: bool) -> int:
    """Submit again; how many runs are not done at the end, if it waits for that.

    Raises:
        SlurmError: SLURM refuses.
    """
    from feature_lazy.launch.slurm.campaign import Campaign
    from feature_lazy.launch.slurm.settings import Settings
    from feature_lazy.runs.store import Store

    campaign = Campaign(root, Settings.of(before.settings), parts)
    campaign.check(jobs := campaign.jobs())
    campaign.submit(jobs)
    say(campaign.announcement())
    if not wait:
        return 0
    run_ids = [run_id for part in parts for run_id in part.run_ids]
    campaign.wait(run_ids)
    return sum(not Store(root).is_done(run_id) for run_id in run_ids)
