"""Run a sweep in parallel processes on this machine."""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from feature_lazy.core.files import make_folder, remove_folder
from feature_lazy.core.redaction import clean
from feature_lazy.core.words import counted
from feature_lazy.launch.cost import estimate
from feature_lazy.launch.sweep_display import SweepDisplay
from feature_lazy.launch.workers import WorkerDiedError, Workers, WorkersError
from feature_lazy.runs.failures import record
from feature_lazy.runs.plan import write_plans
from feature_lazy.runs.progress import PROGRESS_FILE
from feature_lazy.runs.store import Store
from feature_lazy.runs.together import together
from feature_lazy.settings.config import Config
from hydra_plugins.feature_lazy_plugins._composer import Composer
from hydra_plugins.feature_lazy_plugins._jobs import (
    Planning,
    SweepJob,
    results_of,
    say_failures,
    settled,
    warn_of_missing_data,
    warn_of_unobserved,
)

if TYPE_CHECKING:
    from feature_lazy.runs.costing import StepCost

log = logging.getLogger(__name__)


@dataclass
class LocalLauncherConf:
    """Keys of the launcher."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.local_launcher.LocalLauncher"
    n_jobs: int = 0  # processes; 0: one for each core
    dry_run: bool = False  # true: say what it would take, and train nothing


class LocalLauncher(Planning, Launcher):
    """Composes every job once, skips what is done, trains the rest in fresh processes, and loses no result.

    A job runs exactly the configuration composed here: editing a file under ``conf/`` changes no queued job.
    """

    config: DictConfig
    task_function: TaskFunction
    hydra_context: HydraContext

    def __init__(self, n_jobs: int, dry_run: bool = False) -> None:
        """Choose the number of processes."""
        self.n_jobs, self.dry_run = n_jobs or os.cpu_count() or 1, dry_run

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See ``Launcher.launch``; jobs come back in order, failed ones as failed."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        composer = self.composer or Composer(self.hydra_context.config_loader, self.config)
        jobs = [SweepJob(initial_job_idx + i, overrides, composer) for i, overrides in enumerate(job_overrides)]
        results = settled(jobs)
        if not self.dry_run:
            write_plans([job.config for job in jobs])
        # Over several folders an id is not one run: there a run is counted when its job ends.
        several = len({job.config.output_dir for job in jobs}) > 1
        prefixes = [f"{job.config.output_dir}/" if several else "" for job in jobs]
        of_job = {index: [prefixes[index] + cell.run_id for cell in job.cells] for index, job in enumerate(jobs)}
        todo = [index for index, result in enumerate(results) if result.status is JobStatus.UNKNOWN]
        groups = self._groups(jobs, results)
        runs = {run for ids in of_job.values() for run in ids}
        done = {prefix + run for job, prefix in zip(jobs, prefixes, strict=True) for run in job.done}
        nouns = (len(runs), "run"), (len(jobs), "job"), (len(done), "run"), (self.n_jobs, "process")
        log.info("%s in %s, %s already done, %s", *(counted(*one) for one in nouns))
        warn_of_unobserved(jobs)
        if self.dry_run:
            warn_of_missing_data(jobs, results)
        if todo:
            self._train(jobs, groups, results, SweepDisplay(runs, done, of_job))
        if self.dry_run:
            log.info("Nothing was trained: hydra.launcher.dry_run=true")
        for result, overrides in zip(results, job_overrides, strict=True):
            result.overrides = list(overrides)
        return say_failures(results)

    def _groups(self, jobs: Sequence[SweepJob], results: Sequence[JobReturn]) -> list[list[int]]:
        """Jobs that are to be trained, each with those of its batch; a batch has its jobs that are done, too."""
        whole = [index for index, result in enumerate(results) if result.status is not JobStatus.FAILED]
        groups = [
            [whole[place] for place in group]
            for group in together([jobs[index].config for index in whole], self.n_jobs)
        ]
        return [group for group in groups if any(results[index].status is JobStatus.UNKNOWN for index in group)]

    def _train(
        self,
        jobs: Sequence[SweepJob],
        groups: Sequence[Sequence[int]],
        results: list[JobReturn],
        display: SweepDisplay,
    ) -> None:
        todo = [index for group in groups for index in group if results[index].status is JobStatus.UNKNOWN]
        folder = Path(str(self.config.hydra.sweep.dir)) / f".progress-{os.getpid()}"
        make_folder(folder, below=folder.parent)
        try:
            workers = Workers(min(self.n_jobs, len(groups)))
        except WorkersError as error:
            raise CompactHydraException(str(error)) from error
        try:
            with ThreadPoolExecutor(len(workers)) as threads, workers, display.watch(folder):
                if len(todo) > 1 or self.dry_run:
                    cost = threads.submit(self._say_cost, workers, [jobs[index] for index in todo])
                if self.dry_run:
                    cost.result()
                    for index in todo:
                        results[index].status, results[index].return_value = JobStatus.COMPLETED, []
                    return
                futures: dict[Future[list[JobReturn]], Sequence[int]] = {
                    threads.submit(self._run, workers, [jobs[index] for index in group], folder): group
                    for group in groups
                }
                try:
                    for future in as_completed(futures):
                        for index, result in zip(futures[future], future.result(), strict=True):
                            if index in todo:
                                display.finished(index)
                            results[index] = result
                except KeyboardInterrupt:
                    threads.shutdown(wait=False, cancel_futures=True)
                    raise
        finally:
            with suppress(OSError):
                remove_folder(folder, below=folder.parent)

    def _say_cost(self, workers: Workers, jobs: Sequence[SweepJob]) -> None:
        """Say what jobs will take; they start meanwhile, and the process that measures trains afterwards."""

        def measure(config: Config) -> "StepCost":
            threads = config.threads or max(1, (os.cpu_count() or 1) // self.n_jobs)
            return workers.run(_step_cost, replace(config, threads=threads))

        wanted = [(job.config, [cell for cell in job.cells if cell.run_id not in job.done]) for job in jobs]
        try:
            if found := estimate(wanted, self.n_jobs, measure):
                log.info("%s", found)
        except Exception as error:  # an estimate must fail no sweep: the job itself says what is wrong with it
            log.debug("What this sweep takes is not known: %s", clean(str(error)))

    def _composed(self, job: SweepJob) -> DictConfig:
        """The configuration that a worker runs, beside n_jobs − 1 others."""
        config = job.composed()
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{job.number}"
            config.hydra.job.num = job.number
            # The terminal belongs to the parent's display; a job's lines go to the log file.
            config.hydra.job_logging.root.handlers = ["file"]
            if not config.threads:
                config.threads = max(1, (os.cpu_count() or 1) // self.n_jobs)
        return config

    def _run(self, workers: Workers, jobs: Sequence[SweepJob], folder: Path) -> list[JobReturn]:
        """Run the jobs of a batch in a worker process; those of one that dies have failed, and their runs say so."""
        first, *others = jobs
        config = self._composed(first)
        train: Callable[..., Any] = self.task_function
        if others:
            train = partial(train, others=[replace(job.config, threads=config.threads) for job in others])
        payload = (self.hydra_context, config, train, Singleton.get_state(), folder)
        try:
            result = cloudpickle.loads(workers.run(_work, cloudpickle.dumps(payload)))
        except WorkerDiedError as error:
            if not error.stopped:
                for job in jobs:
                    record(Store(job.config.output_dir), job.cells, str(error))
            result = JobReturn(status=JobStatus.FAILED, _return_value=error)
        except WorkersError as error:
            result = JobReturn(status=JobStatus.FAILED, _return_value=CompactHydraException(str(error)))
        return results_of(jobs, result)


def _step_cost(config: Config) -> "StepCost":
    """Measure in a worker process, which has PyTorch."""
    from feature_lazy.runs.costing import step_cost

    return step_cost(config)


def _work(payload: bytes) -> bytes:
    """Run one job in a worker process."""
    # From this very program's parent process, never from a file; it holds the task function, which is in __main__.
    hydra_context, config, task_function, singletons, folder = cloudpickle.loads(payload)
    setup_globals()
    Singleton.set_state(singletons)
    HydraConfig.instance().set_config(config)
    os.environ[PROGRESS_FILE] = str(folder / f"{config.hydra.job.num}.json")
    result = run_job(
        hydra_context=hydra_context,
        config=config,
        task_function=task_function,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    return cloudpickle.dumps(result)


ConfigStore.instance().store(
    group="hydra/launcher", name="feature_lazy_local", node=LocalLauncherConf, provider="feature_lazy"
)
