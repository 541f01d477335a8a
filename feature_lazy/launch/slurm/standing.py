"""Runs and the jobs that train them, together: what the files say, and what SLURM says."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from feature_lazy.launch.slurm import submissions
from feature_lazy.launch.slurm.programs import SlurmError, available
from feature_lazy.launch.slurm.queue import JobState, states, story
from feature_lazy.launch.slurm.submissions import Assignment
from feature_lazy.runs.survey import Entry, RunState, Survey, survey


@dataclass(frozen=True)
class Standing:
    """The latest job of a run, and how it stands."""

    assignment: Assignment
    state: JobState

    def __str__(self) -> str:
        """Job, state and node, as a person reads them."""
        where = f" on {self.state.node}" if self.state.live and self.state.node else ""
        return f"job {self.assignment.job} {self.state}{where}"


def standings(root: Path, run_ids: Collection[str] | None = None) -> dict[str, Standing]:
    """The latest job of each run that SLURM was given; nothing where there is no SLURM.

    Args:
        root: the results folder.
        run_ids: the runs of interest; all if omitted.

    Raises:
        SlurmError: which jobs there are cannot be found out; to take that for none would train everything twice.
    """
    found, problems = submissions.read(root)
    if problems:
        raise SlurmError("\n".join(problems))
    latest = submissions.assignments(found)
    if run_ids is not None:
        latest = {run: latest[run] for run in run_ids if run in latest}
    if not latest or not available():
        return {}
    known = states({assignment.job for assignment in latest.values()})
    return {run: _standing(assignment, known[assignment.job]) for run, assignment in latest.items()}


def _standing(assignment: Assignment, state: JobState) -> Standing:
    forgotten = not state.name and assignment.job in assignment.submission.cancelled
    return Standing(assignment, JobState("CANCELLED") if forgotten else state)


def survey_with_slurm(root: Path, *, certain: bool = False) -> Survey:
    """How every run stands: by its files, and where they cannot tell, by its job.

    Args:
        root: the results folder.
        certain: whether an answer from the files alone is none, where SLURM cannot be asked.

    Raises:
        StoreError: it is no results folder.
        SlurmError: with ``certain``, which jobs there are cannot be found out.
    """
    found = survey(root)
    unfinished = [
        entry.run_id
        for entry in found.entries
        if entry.state not in (RunState.DONE, RunState.DAMAGED, RunState.UNREADABLE)
    ]
    problems: list[str] = []
    try:
        jobs = standings(root, unfinished) if unfinished else {}
    except SlurmError as error:
        if certain:
            raise
        jobs, problems = {}, [str(error)]
    entries = [joined(entry, jobs[entry.run_id]) if entry.run_id in jobs else entry for entry in found.entries]
    return Survey(root, entries, [*found.problems, *problems])


def joined(entry: Entry, standing: Standing) -> Entry:
    """A run that is not done, with what its latest job says of it."""
    state = standing.state
    entry = replace(entry, in_queue=state.live)
    if state.live and state.name == "PENDING":
        goes_on = "" if entry.state is RunState.QUEUED else ", goes on from its last checkpoint"
        return replace(entry, state=RunState.QUEUED, note=f"{_waits(state)}{goes_on}", owner=str(standing))
    if state.live:
        # A job of several cells trains them in turn; one that has just started has not yet said a word.
        waiting = entry.state in (RunState.QUEUED, RunState.INTERRUPTED)
        return replace(entry, state=RunState.QUEUED, note=f"its job runs on {state.node}") if waiting else entry
    if entry.state not in (RunState.QUEUED, RunState.INTERRUPTED):
        return entry
    if state.name == "CANCELLED":
        return replace(entry, state=RunState.INTERRUPTED, note="cancelled")
    if state.name in ("", "COMPLETED"):
        return replace(entry, state=RunState.INTERRUPTED, note=f"its job is over ({state}), and it is not done")
    return replace(entry, state=RunState.FAILED, note=ending(standing))


def ending(standing: Standing) -> str:
    """How a job ended whose run is not done, and where its log is, or why there is none."""
    log = Path(standing.assignment.log)
    text = f"SLURM job {standing.assignment.job}: {story(standing.state)}"
    if log.is_file():
        return f"{text}. Log: {log}"
    if standing.state.name == "FAILED":
        return f"{text}; it left no log: can the nodes see {log.parent}? Choose an output_dir that they share."
    return text


def _waits(state: JobState) -> str:
    return f"waits in SLURM's queue ({state.reason})" if state.reason else "waits in SLURM's queue"
