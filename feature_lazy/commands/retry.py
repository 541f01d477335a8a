"""Train what failed or was interrupted, here and now, with the configuration that it was asked for with.

With --state queued,failed,interrupted,stopped it trains whatever is missing.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from feature_lazy.commands.selection import folder_argument, select, selection_arguments
from feature_lazy.config import Config
from feature_lazy.errors import ConfigError, FeatureLazyError
from feature_lazy.states import Entry, State, survey


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    selection_arguments(parser, (State.FAILED, State.INTERRUPTED))
    parser.add_argument("--n-jobs", type=int, default=0, help="processes (default: one for each core)")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be trained")


def call(options: argparse.Namespace) -> int:
    """Train; 1 if something failed again."""
    found = survey(Path(options.folder))
    chosen = [entry for entry in select(found, options.state, options.where) if entry.state is not State.RUNNING]
    jobs = list(group(chosen, found.root))
    print(f"{len(chosen)} runs in {len(jobs)} jobs")
    if options.dry_run or not jobs:
        for entry in chosen:
            print(f"{entry.run_id} {entry.state} {entry.note}")
        return 0
    failures = _train(jobs, options.n_jobs or os.cpu_count() or 1)
    for failure in failures:
        print(failure)
    print(f"{len(jobs) - len(failures)} of {len(jobs)} jobs done; see: feature-lazy status {found.root}")
    return 1 if failures else 0


def group(entries: Sequence[Entry], root: Path) -> "list[tuple[Config, tuple[str, ...]]]":
    """Jobs that train some runs, each with their ids: together what was together, stored where they are.

    Raises:
        ConfigError: a configuration that this version does not know.
    """
    from feature_lazy.schema import from_plain

    found: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for entry in entries:
        if entry.job is not None:
            key, config = entry.job.runs[0].run_id, entry.job.config
        elif entry.run is not None and "resolved" in entry.run.manifest:
            key, config = entry.run_id, entry.run.manifest["resolved"]
        else:
            raise ConfigError(
                f"{root / 'runs' / entry.run_id} does not say how it was trained; repeat the command that began it."
            )
        found.setdefault(key, (config, []))[1].append(entry.run_id)
    return [(replace(from_plain(c), output_dir=str(root)), tuple(ids)) for c, ids in found.values()]


def _train(jobs: "Sequence[tuple[Config, tuple[str, ...]]]", n_jobs: int) -> list[str]:
    """Train jobs in processes of their own; a sentence for each that failed.

    Raises:
        KeyboardInterrupt: a person, or SIGTERM, stopped it; the processes have kept their state.
    """
    from feature_lazy.cells import cells
    from feature_lazy.failures import record
    from feature_lazy.store import Store
    from feature_lazy.workers import WorkerDiedError, Workers

    workers = Workers(min(n_jobs, len(jobs)))
    threads = max(1, (os.cpu_count() or 1) // len(workers))

    def train(config: Config, ids: tuple[str, ...]) -> str | None:
        try:
            return workers.run(work, config if config.threads else replace(config, threads=threads), ids)
        except WorkerDiedError as error:
            if not error.stopped:
                record(Store(config.output_dir), [c for c in cells(config) if c.run_id in ids], str(error))
            return str(error)

    with ThreadPoolExecutor(len(workers)) as pool, workers:
        futures = [pool.submit(train, config, ids) for config, ids in jobs]
        try:
            results = [future.result() for future in as_completed(futures)]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [result for result in results if result]


def work(config: Config, ids: tuple[str, ...]) -> str | None:
    """Train in a worker process: None, or why it failed; the runs' ``error.txt`` has it all."""
    from feature_lazy.app import train_config

    try:
        train_config(config, only=ids)
    except FeatureLazyError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
