"""Handing jobs to SLURM through submitit: arrays that it accepts, from a frozen source, each written down at once."""

import io
import logging
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from feature_lazy.core.files import make_folder, remove, write_atomically
from feature_lazy.core.words import counted
from feature_lazy.launch.slurm import submissions
from feature_lazy.launch.slurm.packing import arrays, packs
from feature_lazy.launch.slurm.programs import SlurmError, ask, explained, outside_any_job, require, setting, time_limit
from feature_lazy.launch.slurm.settings import Settings
from feature_lazy.launch.slurm.shared import check_shared
from feature_lazy.launch.slurm.snapshot import freeze
from feature_lazy.launch.slurm.submissions import Submission
from feature_lazy.launch.slurm.task import ENDLESS, JOB_START, Task
from feature_lazy.runs.job import Job
from feature_lazy.runs.reading import ERROR
from feature_lazy.runs.store import Store, refuse_linked
from feature_lazy.settings.cells import targets

log = logging.getLogger(__name__)
SOURCE = "FEATURE_LAZY_SOURCE"
"""Environment variable of a job: the folder of its frozen source, for lines such as ``source $…/slurm/env.sh``."""


@dataclass(frozen=True)
class SlurmJob:
    """What one SLURM job trains.

    Attributes:
        parts: its cells.
    """

    parts: tuple[Job, ...]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """All its runs."""
        return tuple(run_id for part in self.parts for run_id in part.run_ids)


def jobs_of(parts: Sequence[Job], pack: int) -> list[SlurmJob]:
    """Cells packed into jobs of at most ``pack``; members of an ensemble count one by one and stay together."""
    groups = packs([len(part.run_ids) for part in parts], pack)
    return [SlurmJob(tuple(parts[index] for index in group)) for group in groups]


class Submitter:
    """Submits the jobs of one results folder."""

    def __init__(self, root: Path, settings: Settings) -> None:
        """Prepare.

        Args:
            root: the results folder.
            settings: the launcher's.

        Raises:
            SlurmError: there is no SLURM here.
        """
        require()
        self.root, self.settings = root, settings

    def check(self, jobs: Sequence[SlurmJob]) -> None:
        """Ask SLURM whether it would take such a job, before anything is written.

        Raises:
            SlurmError: it would not, and why; or no node can see the results folder.
            StoreError: the results folder has links where it must not.
        """
        refuse_linked(self.root)
        if doubt := check_shared(self.root):
            log.warning("%s", doubt)
        if waste := idle_gpu(jobs, self.settings):
            log.warning("%s", waste)
        with outside_any_job():
            text = self._executor()._executor._make_submission_file_text("true", "check")
            path = self.root / submissions.FOLDER / f".check-{os.getpid()}.sh"
            try:
                with submissions.writing(path):
                    write_atomically(path, text.encode(), below=self.root)
                ask("sbatch", "--test-only", str(path))
            finally:
                with suppress(OSError):
                    remove(path, below=self.root)
        partition = self.settings.executor.get("partition")
        limit = time_limit(partition)
        if limit is not None and self.settings.timeout_min > limit:
            # SLURM takes such a job, and lets it wait for ever.
            raise SlurmError(
                explained(
                    f"Requested time limit is invalid: {self.settings.timeout_min} minutes in partition "
                    f"{partition or '(default)'}, which gives {limit:g}"
                )
            )

    def submit(self, jobs: Sequence[SlurmJob]) -> Submission:
        """Submit jobs, in as many arrays as SLURM needs.

        What is submitted is written down array by array: if a later one is refused, the earlier ones are known.

        Raises:
            SlurmError: SLURM refuses; its words, what to change, and what was submitted before.
            StoreError: the results folder cannot be written.
        """
        own = {target for job in jobs for part in job.parts for target in targets(part.config)}
        snapshot = freeze(self.root, sorted(own))
        began = time.time()
        submission = submissions.begin(
            self.root, self.settings.plain(), str(snapshot.relative_to(self.root.absolute()))
        )
        name = submission.name
        largest = largest_array()
        with submissions.writing(progress_folder(self.root, name)):
            make_folder(progress_folder(self.root, name), below=self.root.absolute())
        tasks = [self._task(job, snapshot, name, number) for number, job in enumerate(jobs)]
        first_of: list[str] = []
        for array in arrays(len(jobs), largest, self.settings.array_parallelism):
            after = first_of[array.after] if array.after is not None else None
            try:
                handed = self._hand_over([tasks[i] for i in array.members], snapshot, array.parallelism, after)
            except SlurmError as error:
                raise SlurmError(f"{error}\n{_so_far(submission)}") from error
            ids = [job.job_id for job in handed]
            first_of.append(ids[0].partition("_")[0])
            logs = {job.job_id: str(job.paths.stderr) for job in handed}
            submission = submission.plus({i: jobs[m].run_ids for i, m in zip(ids, array.members, strict=True)}, logs)
            submissions.write(self.root, submission)
            self._forget_failures([run_id for m in array.members for run_id in jobs[m].run_ids], before=began)
        return submission

    def _forget_failures(self, run_ids: Sequence[str], before: float) -> None:
        """Remove why runs failed earlier: else that would be taken for what becomes of their new jobs."""
        for path in (Store(self.root).path(run_id) / ERROR for run_id in run_ids):
            with submissions.writing(path), suppress(FileNotFoundError):
                if path.lstat().st_mtime < before:
                    remove(path, below=self.root)

    def _task(self, job: SlurmJob, snapshot: Path, name: str, number: int) -> Task:
        root = str(self.root.absolute())
        return Task(
            configs=[asdict(replace(part.config, output_dir=root)) for part in job.parts],
            run_ids=[part.run_ids for part in job.parts],
            side_by_side=self.settings.side_by_side,
            timeout_min=self.settings.timeout_min,
            signal_delay_s=self.settings.signal_delay_s,
            patience=self.settings.max_num_timeout,
            source=str(snapshot),
            progress_file=str(progress_folder(self.root, name) / f"{number}.json"),
        )

    def _hand_over(self, tasks: Sequence[Task], snapshot: Path, parallelism: int, after: str | None) -> list[Any]:
        """Submit an array, or a single job.

        Raises:
            SlurmError: SLURM refuses.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        executor = self._executor(snapshot)
        waits = {"slurm_dependency": f"afterany:{after}"} if after else {}
        executor.update_parameters(slurm_array_parallelism=parallelism, **waits)
        try:
            # What SLURM says in refusing is in the error: submitit would print it first, as it comes.
            with outside_any_job(), redirect_stderr(io.StringIO()), executor.batch():
                return [executor.submit(task) for task in tasks]
        except (FailedJobError, FailedSubmissionError) as error:
            raise SlurmError(explained(str(error))) from error

    def _executor(self, snapshot: Path | None = None) -> Any:
        """An executor with the launcher's settings, whose jobs run a frozen source.

        Raises:
            SlurmError: a setting that submitit does not know.
        """
        import submitit

        executor = submitit.AutoExecutor(folder=self.settings.folder, cluster="slurm", slurm_max_num_timeout=ENDLESS)
        values = self.settings.for_submitit()
        before, after = _environment(snapshot) if snapshot else ([], [])
        values["slurm_setup"] = [*before, *values.get("slurm_setup", ()), *after]
        try:
            executor.update_parameters(**values)
        except (NameError, AssertionError, ValueError) as error:
            raise SlurmError(f"The launcher's settings: {error}") from error
        return executor


def idle_gpu(jobs: Sequence[SlurmJob], settings: Settings) -> str | None:
    """A sentence if GPUs are asked for that no cell uses, or the other way round."""
    asked = any("gpu" in f"{key}={value}" for key, value in settings.executor.items() if value)
    cuda = {part.config.device.startswith("cuda") for job in jobs for part in job.parts}
    if asked and cuda == {False}:
        return "Every job holds a GPU and trains on the CPU: add device=cuda, or use hydra/launcher=slurm_cpu."
    if not asked and True in cuda:
        return "device=cuda, and no job asks for a GPU: use hydra/launcher=slurm_gpu, or set hydra.launcher.gres."
    return None


def largest_array() -> int:
    """Jobs of one array that SLURM takes.

    Raises:
        SlurmError: the controller does not answer.
    """
    return int(setting("MaxArraySize") or 1001)


def _environment(snapshot: Path) -> tuple[list[str], list[str]]:
    """What a job sets before and after a person's own lines.

    Its frozen source comes first on Python's path, and the folder that it happens to be in is not on it.
    """
    before = [f"export {JOB_START}=$(date +%s)", f"export {SOURCE}={shlex.quote(str(snapshot))}"]
    path = os.pathsep.join([str(snapshot), *filter(None, sys.path[:1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    # Compiled modules that lie in the copy may be anybody's; a job has its own, or none.
    before.append('export PYTHONPYCACHEPREFIX="${XDG_CACHE_HOME:-$HOME/.cache}/feature_lazy/pycache"')
    after = [f"export PYTHONPATH={shlex.quote(path)}", "export PYTHONSAFEPATH=1", "export SLURM_EXPORT_ENV=ALL"]
    return before, after


def progress_folder(root: Path, name: str) -> Path:
    """Where the jobs of a submission leave their progress."""
    return root.absolute() / submissions.FOLDER / f".progress-{name}"


def _so_far(submission: Submission) -> str:
    if not submission.jobs:
        return "Nothing was submitted."
    return (
        f"{counted(len(submission.jobs), 'job')} submitted before; repeat the command for the rest when those are done."
    )
