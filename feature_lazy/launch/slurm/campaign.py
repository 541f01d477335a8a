"""The runs of one results folder that SLURM is to train: submitted unless it has them, followed, accounted for."""

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from feature_lazy.core.files import remove_folder
from feature_lazy.core.words import counted
from feature_lazy.launch.slurm.follow import follow
from feature_lazy.launch.slurm.queue import JobState, compact
from feature_lazy.launch.slurm.settings import Settings
from feature_lazy.launch.slurm.standing import Standing, ending, standings
from feature_lazy.launch.slurm.submissions import Assignment, Submission
from feature_lazy.launch.slurm.submit import SlurmJob, Submitter, jobs_of, progress_folder
from feature_lazy.launch.sweep_display import SweepDisplay
from feature_lazy.runs.failures import reason, record
from feature_lazy.runs.job import Job
from feature_lazy.runs.store import Store

log = logging.getLogger(__name__)


@dataclass
class Campaign:
    """What is wanted, and which jobs are to bring it.

    Attributes:
        root: the results folder.
        settings: how to submit.
        parts: the cells to train, none of them done.
        assigned: the job of each run, known after ``submit``.
        submission: what was submitted; None if all was in the queue already.
        ended: how each job ended, known after ``wait``.
    """

    root: Path
    settings: Settings
    parts: Sequence[Job]
    assigned: dict[str, Assignment] = field(default_factory=dict)
    submission: Submission | None = None
    ended: dict[str, JobState] = field(default_factory=dict)

    def jobs(self) -> list[SlurmJob]:
        """The jobs that are to be submitted: all runs but those that the queue has already.

        Raises:
            SlurmError: what is in the queue cannot be found out.
        """
        wanted = [run_id for part in self.parts for run_id in part.run_ids]
        found = standings(self.root, wanted)
        self.assigned = {run_id: standing.assignment for run_id, standing in found.items() if standing.state.live}
        if self.assigned:
            jobs = {assignment.job for assignment in self.assigned.values()}
            log.info("%s in SLURM's queue already: %s", counted(len(self.assigned), "run"), compact(jobs))
        left = [
            replace(part, run_ids=tuple(run for run in part.run_ids if run not in self.assigned)) for part in self.parts
        ]
        return jobs_of([part for part in left if part.run_ids], self.settings.pack)

    def check(self, jobs: Sequence[SlurmJob]) -> None:
        """See ``Submitter.check``.

        Raises:
            SlurmError: such jobs cannot be submitted, and why.
            StoreError: the results folder has links where it must not.
        """
        Submitter(self.root, self.settings).check(jobs)

    def submit(self, jobs: Sequence[SlurmJob]) -> None:
        """Submit jobs that were checked.

        Raises:
            SlurmError: SLURM refuses.
            StoreError: the results folder cannot be written.
        """
        self.submission = Submitter(self.root, self.settings).submit(jobs)
        for job, run_ids in self.submission.jobs.items():
            assignment = Assignment(job, self.submission.logs[job], self.submission)
            self.assigned |= dict.fromkeys(run_ids, assignment)

    def announcement(self) -> str:
        """What was submitted, and the commands that a person wants next."""
        ids = self.submission.jobs if self.submission else {}
        return (
            f"{counted(len(ids), 'job')} submitted{': ' if ids else ''}{compact(ids)}. "
            "They need this command no more.\n"
            f"  follow:                 feature-lazy status --watch {self.root}\n"
            f"  train again what fails: feature-lazy retry {self.root}\n"
            f"  cancel:                 feature-lazy cancel {self.root}"
        )

    def wait(self, runs: Collection[str]) -> None:
        """Wait until the jobs are over, and leave a reason with every run that they leave undone.

        Args:
            runs: ids of the whole sweep, for the display.
        """
        runs_of_job: dict[str, list[str]] = {}
        for run_id, assignment in self.assigned.items():
            runs_of_job.setdefault(assignment.job, []).append(run_id)
        display = SweepDisplay(runs, {*runs} - {*self.assigned}, runs_of_job)
        names = {assignment.submission.name for assignment in self.assigned.values()}
        folders = [progress_folder(self.root, name) for name in sorted(names)]
        with display.watch(*folders):
            self.ended = follow(runs_of_job, display.finished)
        for folder in folders:
            with suppress(OSError):
                remove_folder(folder, below=self.root.absolute())
        self._account()

    def _account(self) -> None:
        """Leave a reason with every run whose job failed without one."""
        store = Store(self.root)
        for cell in (cell for part in self.parts for cell in part.cells):
            standing = self.standing(cell.run_id)
            silent = not store.is_done(cell.run_id) and reason(store.path(cell.run_id)) is None
            # Of a job that COMPLETED the run was stopped by a budget, or left to another process.
            if silent and standing.state.name not in ("CANCELLED", "COMPLETED"):
                record(store, [cell], ending(standing), job=standing.assignment.job)

    def standing(self, run_id: str) -> Standing:
        """The job of a run, and how it ended."""
        assignment = self.assigned[run_id]
        return Standing(assignment, self.ended.get(assignment.job, JobState()))
