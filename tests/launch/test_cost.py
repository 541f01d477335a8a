"""What a sweep will take: measured where it can be, and said as what it is."""

import dataclasses
import re

import pytest

from feature_lazy.launch.cost import OBSERVATIONS, PER_DECADE, about, estimate
from feature_lazy.launch.slurm.cost import GRADIENTS, work
from feature_lazy.runs.costing import StepCost, step_cost
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.settings.cells import cells
from tests.conftest import TINY, composed
from tests.study.stored_sweeps import plant


def jobs(tmp_path, *words, widths=(8, 16, 32)):
    configs = [composed(*TINY, f"output_dir={tmp_path}", *words, f"width.h={h}") for h in widths]
    return [(config, cells(config)) for config in configs]


@pytest.mark.parametrize(("members", "n_jobs"), [(1, 1), (3, 1), (3, 2), (1, 9)])
def test_the_smallest_and_the_largest_are_measured_and_the_rest_lies_between(tmp_path, members, n_jobs):
    asked, costs = [], {8: StepCost(0.001, 0.01), 32: StepCost(0.003, 0.02)}

    def measure(config):
        asked.append(config.h)
        return costs[config.h]

    wanted = jobs(tmp_path, "seed=ensemble", f"seed.members={members}")
    found = estimate(wanted, n_jobs, measure)
    low, middle, high = (work(wanted[index][1][0].columns) for index in range(3))
    part = (middle - low) / (high - low)
    each = [
        members * GRADIENTS * (0.001 + 0.002 * share) + OBSERVATIONS * (0.01 + 0.01 * share) for share in (0, part, 1)
    ]
    assert asked == [8, 32]
    assert found.runs == 3 * members
    assert found.seconds == pytest.approx(max(sum(each) / min(n_jobs, 3), max(each)))


def test_what_is_said(tmp_path):
    slow = estimate(jobs(tmp_path), 1, lambda config: StepCost(1.0, 0.0))
    assert str(slow) == (
        "3 runs ≈ 12 min here, by the first steps of 2 jobs and about 250 gradients a run; "
        "dynamics.tolerance=0.1 would make it 7.1 min"
    )
    quick = estimate(jobs(tmp_path), 1, lambda config: StepCost(0.01, 0.0))
    assert "tolerance" not in str(quick)
    coarse = estimate(jobs(tmp_path, "dynamics.tolerance=0.1"), 1, lambda config: StepCost(10.0, 0.0))
    assert coarse.seconds == pytest.approx(3 * 10 * GRADIENTS * PER_DECADE)
    assert "tolerance=" not in str(coarse)  # no larger one has been measured
    assert str(dataclasses.replace(coarse, tolerance=0.01)).endswith("tolerance=0.1 would make it 41 min")
    assert estimate(jobs(tmp_path, "dynamics=sgd"), 1, lambda config: StepCost(1.0, 0.0)) is None
    assert [about(seconds) for seconds in (0.2, 37.4, 89, 91, 7200)] == ["1 s", "37 s", "89 s", "1.5 min", "2 h"]


def test_a_job_is_measured_and_nothing_is_stored(tmp_path):
    [(config, _), *_] = jobs(tmp_path / "results", "seed=ensemble", "seed.members=2", "threads=1")
    found = step_cost(config)
    assert 0 < found.gradient < 1
    assert 0 < found.observation < 10
    assert not (tmp_path / "results").exists()


def test_a_folder_with_runs_knows_better(tmp_path):
    plant(tmp_path, xs=(1.0, 10.0), widths=(8,), seeds=1, observations=2)  # of 1.5 s for two
    found = estimate(jobs(tmp_path, widths=(8, 8, 8)), 1, measure=None)
    alike = work(load_sweep(tmp_path)[0].columns) / work(cells(composed(*TINY, "width.h=8"))[0].columns)
    assert found.seconds == pytest.approx(3 * 0.75 / alike)
    assert "by the 2 runs done in this folder" in str(found)
    assert estimate(jobs(tmp_path, "dynamics.stepper=article"), 1, measure=None).tolerance is None


def test_a_dry_run_says_it_and_trains_nothing(tmp_path, train_py):
    said = train_py(tmp_path, "-m", *TINY, "alpha.value=10,100", "hydra.launcher.dry_run=true").stdout.splitlines()
    assert said[0] == "2 runs in 2 jobs, 0 runs already done, 2 processes"
    assert re.fullmatch(r"2 runs ≈ .* here, by the first steps of 1 job and about 250 gradients a run.*", said[1])
    assert said[2:] == ["Nothing was trained: hydra.launcher.dry_run=true"]
    assert not (tmp_path / "plans").exists()
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize("launcher", ["local", "slurm_cpu"])
def test_a_dry_run_tells_of_data_that_are_not_here(launcher, tmp_path, train_py):
    words = ("dataset=mnist", f"dataset.root={tmp_path / 'none'}", "alpha.value=10,100", "hydra.launcher.dry_run=true")
    said = train_py(tmp_path, "-m", f"hydra/launcher={launcher}", "hydra/callbacks=figures", *words).stdout
    assert said.count("train-images-idx3-ubyte.gz, which is missing.") == 1
    assert "run: feature-lazy data fetch mnist --root" in said
    assert said.splitlines()[-1].endswith("hydra.launcher.dry_run=true")
