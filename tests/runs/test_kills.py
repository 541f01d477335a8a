"""Runs that are killed: in the end they equal, bit for bit, runs that were not."""

import os
import random
import signal
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import QUICK, TINY, composed
from tests.processes import kill_until_done, science, start, train

ENSEMBLE = ("seed=ensemble", "seed.members=3", "observe.kernel.every=2", "checkpoint_every=1e-9")
# Widths and patterns at which rounding does depend on where in a batch a member stands.
ODD = ("width.h=11", "dataset.n_train=50", "observe.per_decade=4")
DYNAMICS = {
    "auto": ("alpha.value=0.1",),
    "rk32": ("alpha.value=0.1", "dynamics.stepper=rk32"),
    "rkc2": ("alpha.value=100", "dynamics.stepper=rkc2"),
    "tangent": ("alpha.value=10", "dynamics.stepper=tangent"),
    "frozen": ("alpha.value=10", "dynamics=frozen_kernel"),
    "sgd": ("alpha.value=1", "dynamics=sgd", "dynamics.updates=400"),
    "adam": ("alpha.value=1", "dynamics=adam", "dynamics.updates=400"),
    "momentum": ("alpha.value=100", "dynamics=momentum_flow", "dynamics.c=1.0"),
    # 11 features do not fit 50 patterns: such a flow ends by its time.
    "one layer": ("alpha.value=10", "dynamics.train=[last]", "dynamics.t_end=100", "dynamics.stepper=rk32"),
    "regularised": ("alpha.value=10", "regulariser=distance", "regulariser.strength=0.1", "dynamics.stepper=rk32"),
}


@cache
def uninterrupted(*job):
    """What a tiny job leaves that nobody disturbs, trained once for all that compare with it."""
    with tempfile.TemporaryDirectory() as folder:
        process = start(train, composed(*TINY, *job, f"output_dir={folder}"))
        process.join()
        assert process.exitcode == 0
        return science(Path(folder))


def train_and_die(config, k):
    """Train, and be killed before the k-th file gets its name."""
    calls, replace = iter(range(k)), os.replace

    def dying(source, target, **folders):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target, **folders)

    os.replace = dying
    train(config)


def assert_survives(tiny, tmp_path, job, moments):
    """Killed before each of these files in turn and then trained, a job equals one that was not interrupted."""
    whole = uninterrupted(*job)
    for moment in moments:
        process = start(train_and_die, tiny(*job), moment)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    process = start(train, tiny(*job))
    process.join()
    assert process.exitcode == 0
    assert science(tmp_path / "results") == whole


@pytest.mark.parametrize("k", range(3, 14))
def test_killed_between_the_first_files(tiny, tmp_path, k):
    """Three manifests and histories, then three checkpoints of one moment, and the next; once more on resume."""
    assert_survives(tiny, tmp_path, (*ODD, *ENSEMBLE, *DYNAMICS["tangent"]), (k, 4))


def test_killed_a_hundred_times(tiny, tmp_path):
    """In as many ensembles as it takes: how far one gets between two kills is the machine's."""
    generator, hits = random.Random(0), 0
    while hits < 100:
        job = (*QUICK, *ODD, *ENSEMBLE, "dynamics.eps_gradient=1e-4", f"seed.first={3 * hits}")
        folder = tmp_path / str(hits)
        whole = uninterrupted(*job)
        killed = kill_until_done(tiny(*job, f"output_dir={folder / 'results'}"), generator, 100 - hits, longest=0.35)
        assert killed > 0
        assert science(folder / "results") == whole
        hits += killed


@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_killed_under_every_dynamics(tiny, tmp_path, dynamics):
    job = (*ODD, *ENSEMBLE, *DYNAMICS[dynamics])
    whole = uninterrupted(*job)
    assert kill_until_done(tiny(*job), random.Random(1), kills=5, longest=0.5) > 1
    assert science(tmp_path / "results") == whole


@pytest.mark.parametrize("head", ["keep", "new", "probe"])
def test_killed_on_the_way_from_stored_runs(tiny, tmp_path, head):
    parents = tmp_path / "parents"
    parent = start(train, tiny(*ODD, *QUICK, *ENSEMBLE[:2], "observe.weights=ends", f"output_dir={parents}"))
    parent.join()
    assert parent.exitcode == 0
    fine = ("seed=from_run", f"seed.run={parents}", f"seed.head={head}", "alpha=raw", "alpha.value=1", "centred=false")
    job = (*ODD, *ENSEMBLE[2:], *fine)
    whole = uninterrupted(*job)
    assert kill_until_done(tiny(*job), random.Random(1), kills=3, longest=0.5) > 0
    assert science(tmp_path / "results") == whole
