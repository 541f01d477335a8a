"""Runs that differ in α and seed, trained as one batch: each is what it is alone, and stays a run of its own."""

import os
import signal
from dataclasses import asdict, replace

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import STATES_HELD, members_that_pay
from feature_lazy.launch.slurm.task import Task
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.alike import alike
from feature_lazy.runs.job import Job, SeveralError, train_config
from feature_lazy.runs.store import Store
from feature_lazy.runs.together import joined, together
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from tests.conftest import QUICK
from tests.processes import start

ALONE = 1e-12
"""Rounding of sums of at most a thousand terms, over some hundred steps that do not amplify it."""
JOBS = ((0.1, 0), (3, 1), (30, 0))
"""√h·α and seed."""
DYNAMICS = {
    "auto": (),
    "rk32": ("dynamics.stepper=rk32",),
    "rkc2": ("dynamics.stepper=rkc2",),
    "tangent": ("dynamics.stepper=tangent", "dynamics.t_end=1"),
    "article": ("dynamics.stepper=article", "dynamics.eps_gradient=1e-2"),
    "momentum": ("dynamics=momentum_flow", "dynamics.c=1.0"),
    "frozen": ("dynamics=frozen_kernel",),
    "listed times, not centred": ("observe=times", "observe.times=[0.1,1]", "centred=false", "dynamics.t_end=2"),
    "regularised": ("regulariser=distance", "regulariser.strength=0.1", "dynamics.stepper=rk32", "dynamics.t_end=1"),
}


@pytest.fixture
def sweep(tiny, tmp_path):
    """The jobs of a sweep over α and seed in a folder."""

    def jobs(folder, *more, of=JOBS, batch="auto"):
        where = (f"batch={batch}", f"output_dir={tmp_path / folder}")
        return [tiny(f"alpha.value={x}", f"seed.value={seed}", *more, *where) for x, seed in of]

    return jobs


def stored(configs):
    """The runs of some jobs."""
    return [Store(config.output_dir).load(cell.run_id) for config in configs for cell in cells(config)]


def train(configs, only=None):
    return train_config(configs[0], only, configs[1:])


def sizes(configs):
    """With how many others each run was trained."""
    return [run.manifest["provenance"]["trained_together"] for run in stored(configs)]


def assert_alike(found, expected):
    for one, other in zip(stored(found), stored(expected), strict=True):
        for column in ("outcome", "steps", "rejected", "kernels"):
            assert one.summary[column] == other.summary[column]
        like = alike(other, one)
        assert like.size < ALONE, (one.columns["sqrt_h_alpha"], like)


@pytest.mark.parametrize("name", DYNAMICS)
def test_each_is_what_it_is_alone(sweep, name):
    batch, apart = sweep("batch", *DYNAMICS[name]), sweep("apart", *DYNAMICS[name])
    assert together(batch) == [[0, 1, 2]]
    train(batch)
    for job in apart:
        train_config(job)
    assert (sizes(batch), sizes(apart)) == ([3] * 3, [1] * 3)
    assert_alike(batch, apart)


def test_one_that_ends_early_does_not_hold_the_others_up(sweep):
    """The feature learner is out of steps where the lazy network has long converged; both are what they are alone."""
    batch, apart = sweep("batch", "dynamics.max_steps=30"), sweep("apart", "dynamics.max_steps=30")
    train(batch)
    for job in apart:
        train_config(job)
    assert len({run.summary["outcome"] for run in stored(batch)}) == 2
    assert_alike(batch, apart)


def test_an_interrupted_batch_goes_on_bit_for_bit(sweep):
    whole, parts = sweep("whole"), sweep("parts")
    train(whole)
    for steps in (5, 30):
        train([replace(job, dynamics=replace(job.dynamics, max_steps=steps)) for job in parts])
        assert any(not run.done for run in stored(parts))
    train(parts)
    assert [str(alike(one, other)) for one, other in zip(stored(whole), stored(parts), strict=True)] == (
        ["equal bit for bit"] * 3
    )
    assert sizes(parts) == [3] * 3


def train_and_die(configs, k):
    """Train, and be killed before the k-th file gets its name."""
    torch.set_num_threads(1)
    calls, rename = iter(range(k)), os.replace

    def dying(source, target, **folders):
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target, **folders)

    os.replace = dying
    train(configs)


def test_a_killed_batch_goes_on_bit_for_bit(sweep):
    keep = (*QUICK[1:], "checkpoint_every=1e-9")
    whole, killed = sweep("whole", *keep), sweep("killed", *keep)
    train(whole)
    process = start(train_and_die, killed, 60)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert all(list(run.path.glob("checkpoint-*")) and not run.done for run in stored(killed))
    train(killed)
    assert [str(alike(one, other)) for one, other in zip(stored(whole), stored(killed), strict=True)] == (
        ["equal bit for bit"] * 3
    )


def test_one_run_of_a_batch_is_trained_again_by_itself_and_the_rest_as_they_were(sweep):
    whole, batch = sweep("whole"), sweep("batch")
    train(whole)
    train([replace(job, dynamics=replace(job.dynamics, max_steps=5)) for job in batch])
    train_config(batch[2])
    assert sizes(batch)[2] == 1
    assert_alike(batch[2:3], whole[2:3])
    done = stored(batch)[2].path / "done"
    before = done.stat().st_mtime_ns
    train(batch, only=[cell.run_id for job in batch for cell in cells(job)])
    assert done.stat().st_mtime_ns == before
    assert_alike(batch, whole)


def test_an_alpha_that_the_dtype_cannot_resolve_takes_no_other_with_it(sweep):
    batch = sweep("batch", *QUICK[1:], of=((10, 0), (1e14, 0), (20, 0)))
    with pytest.raises(SeveralError, match=r"(?s)1 of 3 jobs failed:.*rounding of f − f₀"):
        train(batch)
    there = [Store(job.output_dir).path(cells(job)[0].run_id) for job in batch]
    assert [(path / "done").exists() for path in there] == [True, False, True]
    assert [(path / "error.txt").exists() for path in there] == [False, True, False]


def test_at_most_n_at_once(sweep, tiny):
    batch, apart = sweep("batch", *QUICK[1:], batch="2"), sweep("apart", *QUICK[1:], batch="1")
    train(batch)
    for job in apart:
        train_config(job)
    assert sizes(batch) == [2, 2, 1]
    assert_alike(batch, apart)
    ensemble = [tiny(*QUICK, "seed=ensemble", "batch=2")]
    train(ensemble)
    assert sizes(ensemble) == [2, 2, 1]


def network(h):
    return FullyConnected(64, [h] * 3, scaled(Softplus(5.0)))


def test_where_a_batch_pays_and_memory_holds_it():
    """Two networks of 3 layers of 30 units fit a cache together, on 256 patterns; those of 256 units on 1000 do not."""
    small, large = torch.empty(256, 64, dtype=torch.float64), torch.empty(1000, 64, dtype=torch.float64)
    assert members_that_pay(network(256), large, 2**30) == 1
    weights = 64 * 30 + 2 * 30**2 + 30
    each = 8 * (2 * 256**2 + STATES_HELD * weights)
    assert members_that_pay(network(30), small, 2**30) == 2**30 // each
    assert members_that_pay(network(30), small, each / 2) == 1
    # An accelerator does all at once.
    assert members_that_pay(network(256), large.to("meta"), 2**30) > 1


BY_ITSELF = {
    "batch=1": ("batch=1",),
    "minibatches": ("dynamics=sgd", "dynamics.updates=10"),
    "a budget of seconds": ("dynamics.time_budget=10",),
    "the mean of an ensemble": ("tracking=wandb", "tracking.ensemble=mean"),
}


@pytest.mark.parametrize("name", BY_ITSELF)
def test_what_is_trained_by_itself(tiny, name):
    jobs = [tiny("batch=auto", f"seed.value={seed}", *BY_ITSELF[name]) for seed in (0, 1)]
    assert together(jobs) == [[0], [1]]


def test_what_is_one_batch(tiny, sweep):
    """All jobs of a kind, dealt out to as many processes as there are."""
    narrow, wide = sweep("results"), sweep("results", "width.h=9")
    mixed = [job for pair in zip(narrow, wide, strict=True) for job in pair]
    assert together(mixed) == [[0, 2, 4], [1, 3, 5]]
    assert together(mixed, 2) == [[0, 4], [1, 5], [2], [3]]
    assert together([tiny("alpha=raw", "batch=auto"), tiny("alpha=rescaled", "batch=auto")]) == [[0], [1]]
    # A run that two jobs have is trained by one of them.
    assert together([tiny("batch=auto"), tiny("batch=auto", "seed=ensemble"), tiny("batch=auto", "seed.value=4")]) == (
        [[0, 2], [1]]
    )
    [one] = joined([Job(job, tuple(cell.run_id for cell in cells(job))) for job in narrow])
    assert [cell.run_id for cell in one.cells] == list(one.run_ids)
    assert {config.threads for config in one.on(3).configs} == {3}


@pytest.mark.parametrize("value", ["0", "-1", "all", "1.5", ""])
def test_how_many_is_a_number_or_auto(tiny, value):
    with pytest.raises(ConfigError, match=r"must be auto, or how many networks are trained together at most"):
        validate(replace(tiny(), batch=value))


def test_how_it_is_trained_is_no_part_of_a_run(tiny):
    assert [cell.run_id for cell in cells(tiny("batch=auto"))] == [cell.run_id for cell in cells(tiny())]


def test_a_slurm_job_trains_its_pack_as_one_batch(sweep, tmp_path):
    jobs = sweep("results", *QUICK[1:])
    ids = [tuple(cell.run_id for cell in cells(job)) for job in jobs]
    values = {"side_by_side": 1, "timeout_min": 60, "signal_delay_s": 2, "patience": 2}
    process = start(Task([asdict(job) for job in jobs], ids, progress_file=str(tmp_path / "progress.json"), **values))
    process.join(120)
    assert process.exitcode == 0
    assert sizes(jobs) == [3] * 3


def test_a_sweep_trains_batches_and_says_which_job_failed(sweep, train_py, tmp_path):
    words = ["dataset.n_train=20", "dataset.n_test=20", "architecture.depth=2", "width.h=8", "observe.kernel.probe=10"]
    words += ["observe.per_decade=2", *QUICK[1:], "seed.value=0,1", "batch=auto", "hydra.launcher.n_jobs=1"]
    jobs = sweep("results", *QUICK[1:], of=[(x, seed) for x in (10, 20) for seed in (0, 1)])
    good = train_py(tmp_path / "results", "-m", *words, "alpha.value=10,20")
    assert good.returncode == 0, good.stdout + good.stderr
    assert sizes(jobs) == [4] * 4
    bad = train_py(tmp_path / "results", "-m", *words, "alpha.value=10,20,1e14,30")
    said = " ".join((bad.stdout + bad.stderr).split())
    assert bad.returncode == 1
    assert "8 runs in 8 jobs, 4 runs already done" in said
    assert "2 of 8 jobs failed; repeat" in said
    assert "rounding of f − f₀" in said
    assert all(run.done for run in stored(sweep("results", *QUICK[1:], of=((30, 0), (30, 1)))))
