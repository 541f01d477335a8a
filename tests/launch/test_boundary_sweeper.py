"""The boundary sweeper: rounds of jobs, stored runs first, failures that stop one search alone, refusals."""

import csv
import json
from itertools import chain

import numpy as np
import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, RunMode

from feature_lazy.runs.job import train_config
from feature_lazy.runs.plan import read_plans
from feature_lazy.runs.sweep import load_sweep
from hydra_plugins.feature_lazy_plugins._jobs import Planning
from tests.conftest import QUICK, ROOT, TINY

SMALL = ("dataset.n_train=10", "dataset.n_test=10", "observe.kernel.probe=5", "observe.per_decade=1")
JOB = (*TINY, *QUICK[1:], *SMALL, "seed=ensemble", "seed.members=2")
TARGET = {"level": 0.1, "low": 10.0, "high": 1000.0}  # in the lazy regime, where training is quick


class InThisProcess(Planning):
    """A launcher that trains here, and fails jobs that it is told to."""

    def __init__(self, broken):
        self.batches, self.broken = [], broken

    def launch(self, job_overrides, initial_job_idx):
        assert initial_job_idx == sum(map(len, self.batches))
        self.batches.append([list(job) for job in job_overrides])
        return [self._run(job) for job in job_overrides]

    def _run(self, job):
        if set(self.broken) & set(job):
            return JobReturn(status=JobStatus.FAILED, _return_value=RuntimeError("it is broken"))
        return JobReturn(status=JobStatus.COMPLETED, _return_value=train_config(self.composer.typed(job)))

    @property
    def asked(self):
        """α of all jobs, by width."""
        found = {}
        for job in chain(*self.batches):
            values = dict(one.split("=", 1) for one in job)
            found.setdefault(int(values["width.h"]), []).append(float(values["alpha.value"]))
        return found


@pytest.fixture
def searching(tmp_path):
    """Sweep in this process: its launcher after it, and the sentence that it ended with."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

    def sweep(*overrides, broken=(), **keys):
        hydra = [one for one in overrides if one.startswith("hydra")]
        hydra += [f"hydra.sweeper.{key}={value}" for key, value in {**TARGET, **keys}.items()]
        common = [*JOB, f"output_dir={tmp_path / 'results'}"]
        master = loader.load_configuration("train", ["hydra/sweeper=boundary", *hydra, *common], RunMode.MULTIRUN)
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        sweeper = Plugins.instance().instantiate_sweeper(
            config=master, hydra_context=context, task_function=lambda config: None
        )
        sweeper.launcher = InThisProcess(broken)
        try:
            sweeper.sweep([*common, "width.h=8,12", *(one for one in overrides if one not in hydra)])
        except CompactHydraException as error:
            return sweeper.launcher, str(error)
        return sweeper.launcher, ""

    return sweep


def report(tmp_path):
    return json.loads((tmp_path / "results" / "boundary.json").read_text())


def test_searches_run_side_by_side_and_are_reported(searching, tmp_path, capsys):
    launcher, error = searching()
    assert error == ""
    assert len(launcher.batches[0]) == 4  # both ends of both brackets at once
    assert len(launcher.batches) <= 4
    sweep, found = load_sweep(tmp_path / "results"), report(tmp_path)
    assert len(sweep) == 2 * sum(map(len, launcher.asked.values()))
    for one in found["boundaries"]:
        # By the nearest runs on both sides, seeds averaged: the crossing lies between.
        table = sweep.table[sweep.table["h"] == one["h"]]
        mean = np.log(table["kernel/change"] / 0.1).groupby(table["sqrt_h_alpha"]).mean()
        assert mean[mean > 0].index.max() < one["sqrt_h_alpha"] <= mean[mean <= 0].index.min()
        assert one["alpha"] == pytest.approx(one["sqrt_h_alpha"] / one["h"] ** 0.5)
        assert one["runs"] == one["trained"] == 2 * len(launcher.asked[one["h"]])
        assert one["grid_runs"] == 2 * 25  # 24 steps of 0.2 cover ln 100
    [slope], (a, b) = found["slopes"], found["boundaries"]
    assert slope["slope"] == pytest.approx(np.log(b["alpha"] / a["alpha"]) / np.log(b["h"] / a["h"]))
    rows = list(csv.DictReader((tmp_path / "results" / "boundary.csv").read_text().splitlines()))
    assert [float(row["alpha"]) for row in rows] == [a["alpha"], b["alpha"]]
    shown = capsys.readouterr().out
    assert f"s = {slope['slope']:.3f} ± {slope['error']:.3f}, expected -0.5" in shown
    assert f"{a['runs'] + b['runs']} runs" in shown
    assert "a grid of this resolution has 100" in shown


def test_repeated_search_trains_nothing_and_says_the_same(searching, tmp_path):
    searching()
    before = report(tmp_path)
    launcher, error = searching()
    assert (launcher.batches, error) == ([], "")
    after = report(tmp_path)
    assert [one.pop("trained") for one in after["boundaries"]] == [0, 0]
    assert all(one.pop("trained") for one in before["boundaries"])
    assert after == before


def test_runs_that_are_there_are_used_first(searching, tiny):
    for alpha in ("alpha.value=20", "alpha.value=200"):
        train_config(tiny(*JOB, "width.h=8", alpha, "seed.members=3"))
    train_config(tiny(*JOB, "width.h=12", "alpha.value=20", "seed.members=1"))
    launcher, error = searching()
    assert error == ""
    assert not {10.0, 1000.0} & set(launcher.asked[8])
    assert launcher.asked[12][:2] == [10.0, 1000.0]  # of one seed only, and two are wanted


def test_runs_of_other_networks_are_not_used(searching, tiny):
    for alpha in ("alpha.value=20", "alpha.value=200"):
        train_config(tiny(*JOB, "width.h=8", alpha, "loss.beta=19"))
    launcher, _ = searching("width.h=8")
    assert launcher.asked[8][:2] == [10.0, 1000.0]


def test_alpha_itself_is_searched_for_too(searching, tmp_path):
    _, error = searching("width.h=8", "alpha=raw", low=4.0, high=300.0)
    [one] = report(tmp_path)["boundaries"]
    searching("width.h=8")
    [rescaled] = report(tmp_path)["boundaries"]
    assert error == ""
    assert abs(np.log(one["alpha"] / rescaled["alpha"])) < one["error"]
    assert one["sqrt_h_alpha"] == pytest.approx(one["alpha"] * 8**0.5)


def test_failed_job_ends_its_search_and_the_others_go_on(searching, tmp_path, capsys):
    _, error = searching(broken=["width.h=8"])
    assert error == "1 of 2 searches found no boundary; see above."
    lost, found = report(tmp_path)["boundaries"]
    assert (lost["alpha"], lost["problem"]) == (None, "it is broken; it is broken")
    assert found["alpha"] > 0
    assert "h = 8: it is broken" in capsys.readouterr().out


def test_crossing_that_is_nowhere_is_named(searching, tmp_path):
    _, error = searching("width.h=8", level=1e-12)
    assert error == "1 of 1 searches found no boundary; see above."
    [lost] = report(tmp_path)["boundaries"]
    assert "it is above the level at every α that was tried" in lost["problem"]


def test_spent_budget_is_named_and_a_repeated_command_goes_on(searching, tmp_path):
    launcher, error = searching("width.h=8", max_runs=4)
    assert "1 of 1" in error
    assert launcher.asked == {8: [10.0, 1000.0]}
    [lost] = report(tmp_path)["boundaries"]
    assert "hydra.sweeper.max_runs=4 is spent, with alpha.value = 10, 1000 known" in lost["problem"]
    assert searching("width.h=8", max_runs=4)[1] == ""


@pytest.mark.parametrize(
    ("overrides", "keys", "sentence"),
    [
        (("alpha.value=1,2",), {}, "alpha.value=1: the search chooses it; set hydra.sweeper.low"),
        (("observe.kernel.probe=0",), {}, "observe.kernel.probe=0: the runs would have no kernel/change;"),
        (
            ("observe.kernel.final=false",),
            {"quantity": "kernel/change_test"},
            "observe.kernel.final=false: the runs would have no kernel/change_test",
        ),
        ((), {"quantity": "test/error"}, "hydra.sweeper.quantity=test/error: must be one of kernel/change,"),
        (("seed.members=1",), {}, "set seed=ensemble, with seed.members=2 or more"),
        (("width.h=8,0",), {}, "width.h"),
        ((), {"low": 0.0}, "hydra.sweeper.low=0.0: must be greater than 0"),
        (
            ("hydra/launcher=slurm_cpu", "hydra.launcher.wait=false"),
            {},
            "hydra.launcher.wait=false: a search has to wait",
        ),
        (
            ("hydra/launcher=slurm_cpu", "hydra.launcher.dry_run=true"),
            {},
            "hydra.launcher.dry_run=true: a search has to wait",
        ),
    ],
)
def test_search_that_cannot_be_is_refused_before_anything_starts(searching, tmp_path, overrides, keys, sentence):
    launcher, error = searching(*overrides, **keys)
    assert error.startswith("Nothing was started:\n")
    assert sentence in error
    assert launcher.batches == []
    assert not (tmp_path / "results").exists()


def test_command_that_finds_nothing_says_so_and_fails(train_py, tmp_path):
    target = ("hydra.sweeper.level=0.1", "hydra.sweeper.low=100", "hydra.sweeper.high=1e3", "hydra.sweeper.max_runs=4")
    done = train_py(tmp_path, "-m", "hydra/sweeper=boundary", *JOB, "hydra.launcher.n_jobs=1", *target)
    assert done.returncode == 1
    assert "kernel/change = 0.1" in done.stdout
    assert "hydra.sweeper.max_runs=4 is spent, with alpha.value = 100, 1000 known" in done.stdout
    assert "1 of 1 searches found no boundary; see above." in done.stderr
    assert "Traceback" not in done.stderr
    assert {job.config["alpha"]["value"] for job in read_plans(tmp_path)[0]} == {100.0, 1000.0}
