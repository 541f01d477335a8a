"""Run a sweep in parallel processes on this machine."""

import logging
import multiprocessing
import os
import queue
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cloudpickle
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from feature_lazy.cells import cells
from feature_lazy.errors import FeatureLazyError
from feature_lazy.plan import pending
from feature_lazy.progress import PROGRESS_FILE
from feature_lazy.schema import to_config
from feature_lazy.sweep_display import SweepDisplay

log = logging.getLogger(__name__)


@dataclass
class LocalLauncherConf:
    """Keys of the launcher."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.local_launcher.LocalLauncher"
    n_jobs: int = 0  # processes; 0: one for each core


class LocalLauncher(Launcher):
    """Composes every job once, skips what is done, trains the rest in fresh processes, and loses no result.

    A job runs exactly the configuration composed here: editing a file under ``conf/`` changes no queued job.
    """

    config: DictConfig
    task_function: TaskFunction
    hydra_context: HydraContext

    def __init__(self, n_jobs: int) -> None:
        """Choose the number of processes."""
        self.n_jobs = n_jobs or os.cpu_count() or 1
        self.composed: dict[tuple[str, ...], DictConfig] = {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """See ``Launcher.setup``."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """See ``Launcher.launch``; jobs come back in order, failed ones as failed."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs = [self._compose(initial_job_idx + i, overrides) for i, overrides in enumerate(job_overrides)]
        results: dict[int, JobReturn] = {}
        counts: dict[int, int] = {}
        for index, job in enumerate(jobs):
            counts[index], results[index] = _settle(job)
        todo = [index for index, result in results.items() if result.status is JobStatus.UNKNOWN]
        total = sum(counts.values())
        done = total - sum(counts[index] for index in todo)
        log.info("%d runs in %d jobs, %d runs already done, %d processes", total, len(jobs), done, self.n_jobs)
        if todo:
            self._train(jobs, todo, results, SweepDisplay(total, done, counts))
        failed = [index for index in results if results[index].status is JobStatus.FAILED]
        for index in failed:
            log.error("Failed: %s\n  %s", " ".join(job_overrides[index]), _reason(results[index]))
        if failed:
            log.error("%d of %d jobs failed; repeat the command to train what is missing.", len(failed), len(jobs))
        return [results[index] for index in range(len(jobs))]

    def _compose(self, number: int, overrides: Sequence[str]) -> DictConfig:
        config = self.composed.get(tuple(overrides))
        if config is None:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = f"{config.hydra.job.name}_{number}"
            config.hydra.job.num = number
            # The terminal belongs to the parent's display; a job's lines go to the log file.
            config.hydra.job_logging.root.handlers = ["file"]
            if not config.threads:
                config.threads = max(1, (os.cpu_count() or 1) // self.n_jobs)
        return config

    def _train(
        self, jobs: Sequence[DictConfig], todo: Sequence[int], results: dict[int, JobReturn], display: SweepDisplay
    ) -> None:
        folder = Path(str(self.config.hydra.sweep.dir)) / f".progress-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        workers = Workers(min(self.n_jobs, len(todo)))
        with ThreadPoolExecutor(len(workers)) as threads, display.watch(folder):
            futures: dict[Future[JobReturn], int] = {}
            for index in todo:
                payload = (self.hydra_context, jobs[index], self.task_function, Singleton.get_state(), folder)
                futures[threads.submit(workers.run, cloudpickle.dumps(payload))] = index
            try:
                for future in as_completed(futures):
                    results[futures[future]] = future.result()
                    display.finished(futures[future])
            except KeyboardInterrupt:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
            finally:
                workers.close()
        shutil.rmtree(folder, ignore_errors=True)


class Workers:
    """Processes with one job each at a time, so that a process that dies takes its own job with it and no other."""

    def __init__(self, number: int) -> None:
        """Start processes with their first jobs."""
        self.idle: queue.SimpleQueue[ProcessPoolExecutor] = queue.SimpleQueue()
        self.everyone = [self._start() for _ in range(number)]
        for worker in self.everyone:
            self.idle.put(worker)

    def __len__(self) -> int:
        """Number of processes."""
        return len(self.everyone)

    def run(self, payload: bytes) -> JobReturn:
        """Run one job in an idle process; called from as many threads as there are processes."""
        worker = self.idle.get()
        try:
            return cloudpickle.loads(worker.submit(_work, payload).result())
        except BrokenProcessPool:
            self.everyone.remove(worker)
            worker = self._start()
            self.everyone.append(worker)
            reason = RuntimeError("the worker process died; the kernel kills processes when memory runs out")
            return JobReturn(status=JobStatus.FAILED, _return_value=reason)
        finally:
            self.idle.put(worker)

    def close(self) -> None:
        """Let the processes end."""
        for worker in self.everyone:
            worker.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def _start() -> ProcessPoolExecutor:
        # Started afresh and not forked: a forked process inherits PyTorch's thread pools in an unusable state.
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _settle(job: DictConfig) -> tuple[int, JobReturn]:
    """Number of runs of a job, and its result if it needs no training: all done, or a stored run is damaged."""
    config = to_config(job)
    wanted = cells(config)
    result = JobReturn(overrides=list(job.hydra.overrides.task), cfg=job)
    try:
        if not pending(config):
            result.status, result.return_value = JobStatus.COMPLETED, [cell.run_id for cell in wanted]
    except FeatureLazyError as error:
        # Of a kind that Hydra shows without a traceback: the sentence says it all.
        result.status, result.return_value = JobStatus.FAILED, CompactHydraException(str(error))
    return len(wanted), result


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


def _reason(result: JobReturn) -> str:
    return f"{result._return_value}".replace("\n", "\n  ")


ConfigStore.instance().store(
    group="hydra/launcher", name="feature_lazy_local", node=LocalLauncherConf, provider="feature_lazy"
)
