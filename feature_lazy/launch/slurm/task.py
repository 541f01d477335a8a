"""What runs in a SLURM job: the frozen configurations that it was given, from the frozen source."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.runs.stopping import DEADLINE, StoppedError

if TYPE_CHECKING:
    from feature_lazy.runs.job import Job

JOB_START = "FEATURE_LAZY_JOB_START"
"""Environment variable: when the job began, in Unix seconds."""
EARLY = 90
"""Seconds that SLURM's signal may come before its time: up to 60 by its manual, and what it takes to answer."""
ENDLESS = 10**6
"""Time-outs that submitit may count: how many are allowed is decided here, by progress."""


class JobFailedError(FeatureLazyError):
    """Runs of a job failed, so that SLURM calls it FAILED."""


class StalledError(FeatureLazyError):
    """A job ran out of time again and again without getting further."""


@dataclass
class Task:
    """A callable for submitit, which calls ``checkpoint`` when SLURM wants the node back or the time is over.

    Attributes:
        configs: resolved configurations, as plain values.
        run_ids: of each the runs to train.
        side_by_side: how many are trained at once; 1: one after the other.
        timeout_min: minutes that the job has.
        signal_delay_s: seconds before its end at which it is told.
        patience: time-outs in a row that may pass without progress.
        progress_file: where a waiting parent looks.
        source: folder of the frozen source; empty for whatever is there.
        stalled: time-outs in a row that have.
        reached: how far the runs were at the last time-out.
        started: when this attempt began, in Unix seconds.
    """

    configs: list[dict[str, Any]]
    run_ids: list[tuple[str, ...]]
    side_by_side: int
    timeout_min: int
    signal_delay_s: int
    patience: int
    progress_file: str
    source: str = ""
    stalled: int = 0
    reached: float = -1.0
    started: float = 0.0

    def __call__(self) -> list[str]:
        """Train, and return the ids of all runs.

        Raises:
            JobFailedError: runs of a job of several failed; the reasons are in it.
            FeatureLazyError: the error of a job of one; or the source here is another one.
            StoppedError: something stopped it that is not for submitit.
        """
        from feature_lazy.core.redaction import secret_errors

        with secret_errors():  # submitit writes them down, and pickles them
            return self._train()

    def _train(self) -> list[str]:
        """As ``__call__``.

        Raises:
            JobFailedError: see there.
            StoppedError: see there.
        """
        from feature_lazy.core.redaction import log_lines
        from feature_lazy.runs.progress import PROGRESS_FILE
        from feature_lazy.runs.together import joined

        log_lines()
        self._check_source()
        os.environ[PROGRESS_FILE] = self.progress_file
        # Modules are loaded, and Python is, before this line: minutes, from a busy file system.
        self.started = float(os.environ.get(JOB_START) or time.time())
        if self.reached < 0:
            self.reached = self._progress()
        end = self.started + 60 * self.timeout_min
        parts = joined(self._parts(), self.side_by_side)
        # Only if nobody has told it by then: a process that keeps its state at the very end keeps none.
        margin = max(part.config.checkpoint_margin for part in parts) - self.signal_delay_s / 2
        os.environ[DEADLINE] = str(end + margin)
        try:
            if len(parts) == 1:
                self._one(parts[0])
            else:
                self._several(parts)
        except (StoppedError, JobFailedError) as error:
            late = time.time() >= end - self.signal_delay_s
            if late or isinstance(error, StoppedError):
                self._give_way(late)
            raise
        # All is stored. A signal now, or while Python takes itself down, would only make a success a failure.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        return [run_id for part in parts for run_id in part.run_ids]

    def checkpoint(self) -> Any:
        """What to run when the job is put back into the queue: the same; runs go on from their own checkpoints.

        Raises:
            StalledError: it was given time again and again, and got no further.
        """
        from submitit.helpers import DelayedSubmission

        now = self._progress()
        if time.time() >= self.started + 60 * self.timeout_min - self.signal_delay_s - EARLY:
            self.stalled = self.stalled + 1 if now <= self.reached else 0
            self.reached = max(now, self.reached)
        if self.stalled > self.patience:
            reason = (
                f"The job ran out of its {self.timeout_min} minutes {self.stalled} times without getting further, so "
                "it is not started again: raise hydra.launcher.timeout_min, or lower checkpoint_every."
            )
            self._record(reason)
            raise StalledError(reason)
        return DelayedSubmission(self)

    def _check_source(self) -> None:
        """Make sure that this is the frozen source, and that the plug-ins it needs are here.

        Raises:
            ConfigError: it is another source, or a plug-in is missing here or of another version.
        """
        from feature_lazy.core.revision import HOME, frozen
        from feature_lazy.settings.plugins import lacking

        if self.source and Path(self.source).resolve() != HOME:
            raise ConfigError(
                f"The job runs {HOME} and not {self.source}, as it was submitted: the nodes do not get the variables "
                "of the batch script. Unset SBATCH_EXPORT and SLURM_EXPORT_ENV, and what sets PYTHONPATH on the nodes."
            )
        if missing := lacking(frozen().get("packages", {})):
            raise ConfigError(
                f"This node lacks plug-ins with which the job was submitted: {'; '.join(missing)}. Install them in the "
                "environment of the nodes, and repeat the command."
            )

    def _parts(self) -> "list[Job]":
        """What to train.

        Raises:
            ConfigError: the source here is not the one that the run ids were made with.
        """
        from feature_lazy.runs.job import Job
        from feature_lazy.settings.cells import cells
        from feature_lazy.settings.schema import from_plain

        parts = []
        for plain, run_ids in zip(self.configs, self.run_ids, strict=True):
            config = from_plain(plain, trusted=True)
            if unknown := set(run_ids) - {cell.run_id for cell in cells(config)}:
                raise ConfigError(
                    f"{', '.join(sorted(unknown))} is not what this source makes of its configuration; it has changed "
                    "since the job was submitted. Cancel the job and repeat the command."
                )
            parts.append(Job(config, tuple(run_ids)))
        return parts

    def _one(self, part: "Job") -> None:
        from feature_lazy.runs.job import train_config

        job = part.on(_cores())
        train_config(job.config, job.run_ids, job.others)

    def _several(self, parts: "list[Job]") -> None:
        """Train in processes of their own, so that one that is killed takes no other with it.

        Raises:
            JobFailedError: some failed.
            StoppedError: a signal stopped it; what is done is stored, and the rest has kept its state.
        """
        from feature_lazy.launch.parallel import train_all

        asked: list[int] = []

        def stop(number: int, frame: Any) -> None:
            asked.append(number)
            if len(asked) == 1:
                raise KeyboardInterrupt

        before = {number: signal.signal(number, stop) for number in (signal.SIGUSR2, signal.SIGTERM)}
        try:
            failures = train_all(parts, self.side_by_side, cores=_cores(), logs=True)
        except KeyboardInterrupt:
            failures = []
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if asked:
            self._give_way(signal.SIGUSR2 in asked)
            raise StoppedError(f"Stopped by {signal.Signals(asked[0]).name}; what was running has kept its state.")
        if failures:
            raise JobFailedError(f"{len(failures)} of {len(parts)} failed:\n" + "\n".join(failures))

    def _give_way(self, requeue: bool) -> None:
        """Let submitit put the job back into the queue, or wait for what SLURM does next.

        Before a preemption SLURM sends SIGTERM, then perhaps SIGUSR2, then kills: a job that ended of itself in between
        would have failed. Where it does not kill, the job asks for its next turn itself.
        """
        if not requeue:
            time.sleep(self.signal_delay_s)
        signal.raise_signal(signal.SIGUSR2)

    def _progress(self) -> float:
        """A number that grows while the runs do: runs that are done, and steps in checkpoints."""
        from feature_lazy.runs.store import Store

        done, steps = 0, 0.0
        for plain, run_ids in zip(self.configs, self.run_ids, strict=True):
            store = Store(plain["output_dir"])
            for run_id in run_ids:
                done += store.is_done(run_id)
                steps += 0.0 if store.is_done(run_id) else _steps(store, run_id)
        return 1e12 * done + steps

    def _record(self, reason: str) -> None:
        """Leave ``error.txt`` with every run that is not done."""
        from feature_lazy.runs.failures import record
        from feature_lazy.runs.store import Store

        for part in self._parts():
            record(Store(part.config.output_dir), part.cells, reason)


def _steps(store: Any, run_id: str) -> float:
    try:
        found = store.checkpoints(run_id)
    except FeatureLazyError:
        return 0.0
    return float(found[0][0].arrays["steps"].sum()) if found else 0.0


def _cores() -> int:
    """Cores that SLURM has given to this job."""
    return int(os.environ.get("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0)))
