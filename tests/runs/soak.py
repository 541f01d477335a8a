"""Random kills, stops and takeovers of processes that train the same runs: ``make soak``, ten minutes of them.

At every moment the folder can be read and nothing in it is damaged; at the end the runs are, bit for bit, those of one
process that nobody disturbed; members that two processes had between them are equal to rounding.
"""

import argparse
import json
import logging
import random
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import torch

from feature_lazy.core.errors import StoreError
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import ERROR, HISTORY
from feature_lazy.runs.survey import RunState, survey
from tests.conftest import QUICK, TINY, composed
from tests.processes import PROCESSES, science, start, train

DEPOSED = 3
"""Exit code of a process whose run was taken over while it was stopped."""
JOBS = (
    (*QUICK, "seed=ensemble", "seed.members=3", "dynamics.eps_gradient=3e-4"),
    (*QUICK, "dynamics.stepper=tangent", "seed=ensemble", "seed.members=2"),
    ("alpha.value=10", "dynamics=sgd", "dynamics.updates=300"),
)
APART = 1e-10
"""Most by which members differ that were trained apart; measured: 1e-14."""
ACTIONS = {"kill": 4, "term": 3, "stop": 4, "leave": 3}
"""What happens to a process, and how often."""


def on_some_host(config):
    """Train as on a host of one's own, which cannot ask others whether they live, and has little patience."""
    from feature_lazy.runs.store import claims, lease, owner

    host = uuid.uuid4().hex
    owner._machine = lambda: host
    lease.BEAT = 0.05
    claims.claim = partial(lease.claim, patience=0.7)
    torch.set_num_threads(1)
    logging.disable()
    try:
        train_config(config)
    except StoreError as error:
        if "taken over" not in str(error):
            raise
        sys.exit(DEPOSED)


def soak(folder: Path, seed: int, *, events: int = 10**9, seconds: float = float("inf")) -> Counter:
    """Train every job under disturbances, each over and over in new folders, and compare.

    Args:
        folder: a folder for all results.
        seed: of the disturbances; what they meet is the machine's.
        events: disturbances after which it ends.
        seconds: or after how long.

    Returns:
        How often what happened.
    """
    draw, happened, end = random.Random(seed), Counter(), time.monotonic() + seconds
    turn = 0
    while sum(happened[name] for name in ACTIONS) < events and time.monotonic() < end:
        here = folder / str(turn)
        job = (*TINY, *JOBS[turn % len(JOBS)], f"dataset.seed={turn}")
        process = start(train, composed(*job, f"output_dir={here / 'whole'}"))
        process.join()
        assert process.exitcode == 0, job
        disturbed(composed(*job, f"output_dir={here / 'results'}", "checkpoint_every=0.02"), draw, happened)
        assert same(science(here / "results"), science(here / "whole")), (job, happened)
        assert not list(here.glob(f"results/runs/*/{ERROR}"))
        happened["sweeps"] += 1
        turn += 1
    return happened


def same(found, whole):
    """Whether runs are those that nobody disturbed.

    Members of one ensemble round as those beside them let them: trained apart they were 1e-14 from together.
    """
    if found == whole or len(whole) == 1:
        return found == whole
    return found.keys() == whole.keys() and all(
        found[name][2] == whole[name][2] and close(observed(found[name]), observed(whole[name])) for name in whole
    )


def close(found, whole):
    """Whether histories are equal to rounding."""
    return [list(row) for row in found] == [list(row) for row in whole] and all(
        row[name] == pytest.approx(known[name], rel=APART, abs=APART, nan_ok=True)
        for row, known in zip(found, whole, strict=True)
        for name in known
    )


def observed(run):
    """The rows of a history."""
    return [json.loads(line) for line in run[1][HISTORY].splitlines()]


def disturbed(config, draw, happened):
    """Train by two processes at a time, of which each meets something, until all is done."""
    root, running, stopped = Path(config.output_dir), [], []
    for _ in range(draw.randint(6, 12)):
        if (root / "runs").is_dir() and (found := survey(root)).entries == found.having(RunState.DONE) != []:
            break
        running += [start(on_some_host, config) for _ in range(2 - len(running))]
        one = running.pop(draw.randrange(len(running)))
        happened["goes on"] += any(root.glob("runs/*/checkpoint-*"))
        begun(root, one, draw.randint(0, 12))
        one.join(draw.uniform(0, 0.1))
        [action] = draw.choices(list(ACTIONS), list(ACTIONS.values()))
        happened[action] += 1
        if action == "kill":
            one.kill()
        elif action == "term":
            one.terminate()
        elif action == "stop" and one.is_alive():
            signal_to(one, signal.SIGSTOP)
            stopped.append(one)
            continue
        elif action == "leave":
            running.append(one)
            continue
        one.join()
        happened[f"exit {one.exitcode}"] += 1
        assert one.exitcode in (0, -signal.SIGKILL, -signal.SIGTERM, DEPOSED)
        look(root)
        if stopped and draw.random() < 0.5:
            waked = stopped.pop()
            signal_to(waked, signal.SIGCONT)
            running.append(waked)
    for one in stopped:
        signal_to(one, signal.SIGCONT)
    for one in [*running, *stopped]:
        one.join()
        happened[f"exit {one.exitcode}"] += 1
        assert one.exitcode in (0, DEPOSED)
    process = start(on_some_host, config)
    process.join()
    assert process.exitcode == 0


def begun(root, process, observations, seconds=1.0):
    """Wait until so many more have been stored: else nearly all would happen before a process has trained at all.

    Not for ever: the process may have ended, or wait for the other one's run.
    """
    end, before = time.monotonic() + seconds, stored(root)
    while process.is_alive() and time.monotonic() < end and stored(root) < before + observations:
        time.sleep(0.01)


def stored(root):
    """How many observations a folder has."""
    return sum(path.read_bytes().count(b"\n") for path in root.glob(f"runs/*/{HISTORY}"))


def signal_to(process, number):
    """Send a signal to one of our processes."""
    import os

    with suppress(ProcessLookupError):  # it has ended just now
        os.kill(process.pid, number)


def look(root):
    """Nothing is ever damaged, or failed."""
    if (root / "runs").is_dir():
        found = survey(root)
        assert not found.problems
        wrong = found.having(RunState.DAMAGED, RunState.FAILED)
        assert not wrong, [(entry.run_id, entry.note) for entry in wrong]


def main():
    """As ``make soak`` does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        print(dict(soak(Path(folder), options.seed, seconds=options.seconds)))


if __name__ == "__main__":
    PROCESSES.set_forkserver_preload(["tests.processes"])
    main()
