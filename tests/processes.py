"""Training in processes that tests may kill: children of a server that has imported PyTorch once, and no threads."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

import torch

from feature_lazy.runs.batch import build  # noqa: F401 - imported once by the server, and not by every child
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import HISTORY, OUTPUTS, load_run

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "tests.kernels.conftest"])


def start(target, *arguments):
    """Begin a call in a process of its own."""
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def train(config):
    """Train a configuration."""
    torch.set_num_threads(1)
    train_config(config)


def kill_until_done(config, generator: random.Random, kills: int, longest: float) -> int:
    """Train with a kill −9 after a random time, again and again, then to the end; how many kills hit."""
    hits = 0
    while hits < kills:
        process = start(train, config)
        process.join(generator.uniform(0, longest))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        hits += 1
    process = start(train, config)
    process.join()
    assert process.exitcode == 0
    return hits


def wait_for(condition, seconds=180.0):
    """Wait until something holds; the guard against waiting for ever is far beyond what a busy machine takes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def there(folder: Path, pattern: str) -> list[Path]:
    """What of a folder has a name now; none where one of those on the way vanishes while it is looked at."""
    try:
        return list(folder.glob(pattern))
    except FileNotFoundError:
        return []


def science(folder: Path):
    """All that must not depend on how often a run was interrupted: by run id."""
    found = {}
    for path in sorted((folder / "runs").glob("[0-9a-f]*")):
        run = load_run(path)
        assert run.done
        run.verify()
        files = {name: (path / name).read_bytes() for name in run.manifest["files"]}
        assert {HISTORY, OUTPUTS} <= set(files)
        plain = {name: run.manifest[name] for name in ("run_id", "identity", "config", "columns", "summary", "files")}
        found[run.run_id] = (plain, files, sorted(p.name for p in path.iterdir()))
    return found
