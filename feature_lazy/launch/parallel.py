"""Several jobs at once in processes of their own, without Hydra: what ``feature-lazy retry`` and SLURM jobs do."""

import os
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.redaction import log_lines, redact
from feature_lazy.core.terminal import say
from feature_lazy.launch.workers import WorkerDiedError, Workers, WorkersError
from feature_lazy.runs.failures import record
from feature_lazy.runs.job import Job, train_config
from feature_lazy.runs.progress import own_progress
from feature_lazy.runs.store import Store


def train_all(jobs: Sequence[Job], n_processes: int, *, cores: int = 0, logs: bool = False) -> list[str]:
    """Train in processes of their own; a sentence for each job that failed, which no other notices.

    Args:
        jobs: what to train.
        n_processes: how many at once.
        cores: cores that they share; all of this machine if 0.
        logs: whether they write lines and tracebacks where this process does.

    Raises:
        KeyboardInterrupt: a person, or SIGTERM, stopped it; the processes have kept their state.
    """
    workers = Workers(min(n_processes, len(jobs)))
    threads = max(1, (cores or os.cpu_count() or 1) // len(workers))

    def train(job: Job) -> str | None:
        try:
            return workers.run(work, job.on(threads), logs)
        except WorkerDiedError as error:
            if not error.stopped:
                record(Store(job.config.output_dir), job.cells, str(error))
            return str(error)
        except WorkersError as error:
            return str(error)

    with ThreadPoolExecutor(len(workers)) as pool, workers:
        futures = [pool.submit(train, job) for job in jobs]
        try:
            results = [future.result() for future in as_completed(futures)]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [result for result in results if result]


def work(job: Job, logs: bool = False) -> str | None:
    """Train in a worker process: None, or why it failed; the runs' ``error.txt`` has it all."""
    if logs:
        log_lines()
    own_progress()
    try:
        train_config(job.config, job.run_ids, job.others)
    except Exception as error:
        if logs:
            say(traceback.format_exc(), error=True)
        return redact(str(error) if isinstance(error, FeatureLazyError) else f"{type(error).__name__}: {error}")
    return None
