"""Observables from outside the repository, as options and as targets; what is stored, resumed and asked for later."""

import json
import logging
import random
import shutil
import sys

import numpy as np
import pytest

from feature_lazy import load_sweep
from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantities import QUANTITIES
from feature_lazy.measure.quantity import Quantity
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import MANIFEST, checksum, load_run
from feature_lazy.settings import registry
from feature_lazy.settings.cells import cells, source_hashes, targets
from feature_lazy.settings.checks import validate
from feature_lazy.settings.help import help_text
from feature_lazy.settings.overrides import checked
from feature_lazy.settings.schema import from_plain, register
from tests.conftest import QUICK, TINY
from tests.processes import kill_until_done, science, start, train

MODULE = '''
"""Observables of a user's own."""
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option


@option("observe/also", "sharpness")
class Sharpness(Observable):
    """Largest eigenvalue of the kernel on the training set, times a factor."""

    factor: float = key(1.0, "what it is multiplied by", gt=0)

    quantities = {"sharpness": Quantity("sharpness λ", unit="1/t", where="here", theme="Mine")}

    def at(self, moment):
        return {"sharpness": self.factor * moment.eigenvalues(moment.setting.data.x_train)[:, 0]}


class Distance(Observable):
    """From the initial weights."""

    quantities = {"l1": Quantity("‖w − w₀‖₁")}

    def begin(self, moment):
        self.w0 = moment.weights.clone()

    def at(self, moment):
        return {"l1": (moment.weights - self.w0[moment.member]).abs().sum(1)}

    def end(self, moment):
        return {"sets": moment.F_train.amax(1)}, {"last": moment.weights}


def largest(moment):
    return moment.weights.abs().amax(1)


def both(moment):
    return {"train": moment.f_train.amax(1), "test": moment.f_test.amax(1)}


def failing(moment):
    raise ValueError("no such wind")


class Wrong:
    pass
'''
OPTION = ("options=[own_observables]", "observe/also=[sharpness]", "observe.also.sharpness.factor=2")
OWN = ("mine: own_observables.largest", "two: own_observables.both", "d: own_observables.Distance")
CUSTOM = f"observe.also.custom.targets={{{', '.join(OWN)}}}"
TARGETS = ("observe/also=[custom]", CUSTOM)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The module of a user's own on Python's path; what it declares is forgotten afterwards."""
    (tmp_path / "own_observables.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    registry.discover()
    monkeypatch.setattr(registry, "_options", {group: dict(known) for group, known in registry._options.items()})
    monkeypatch.setitem(sys.modules, "own_observables", None)
    del sys.modules["own_observables"]
    return tmp_path


@pytest.fixture
def own_option(own):
    registry.discover(["own_observables"])
    register()
    return own


def trained(config):
    validate(config)
    return [load_run(config.output_dir + f"/runs/{run_id}") for run_id in train_config(config)]


def test_an_option_from_outside_is_in_history_summary_table_and_manifest(own_option, tiny):
    checked(OPTION)
    config = tiny(*QUICK, *OPTION)
    [run] = trained(config)
    assert run.history["sharpness"][-1] == run.summary["sharpness"] > 0
    [row] = load_sweep(own_option / "results").table.to_dict("records")
    assert row["sharpness"] == run.summary["sharpness"]
    quantity = Quantity("sharpness λ", unit="1/t", where="here", theme="Mine")
    assert run.manifest["quantities"] == {"sharpness": quantity.plain()}
    assert run.quantities["sharpness"] == quantity
    assert from_plain(run.manifest["resolved"], trusted=True) == config
    assert "factor=1.0" in help_text(["observe/also=sharpness"])


def test_targets_by_name(own, tiny):
    [run] = trained(tiny(*QUICK, *TARGETS))
    assert {"mine", "two/train", "two/test", "d/l1"} <= {*run.history}
    assert (run.history["d/l1"][0], run.history["d/l1"][-1] > 0) == (0, True)
    assert run.summary["d/sets"] == pytest.approx(run.outputs["F_train"].max())
    assert run.summary["mine"] == np.abs(run.outputs["d/last"]).max()
    assert run.history["two/train"][-1] > run.history["two/train"][0]
    assert run.quantities["d/l1"].label == "‖w − w₀‖₁"
    assert run.quantities["mine"].label == "mine"
    [row] = load_sweep(own / "results").table.to_dict("records")
    assert row["two/test"] == run.summary["two/test"]


def test_own_code_travels_and_is_no_part_of_the_identity(own_option, tiny):
    plain = tiny(*QUICK)
    for words, code in (
        (OPTION, {"own_observables", "own_observables.Sharpness"}),
        (TARGETS, {"own_observables.both"}),
    ):
        config = tiny(*QUICK, *words)
        assert code <= set(targets(config))
        assert source_hashes(config) == []
        assert cells(config)[0].run_id == cells(plain)[0].run_id


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("{mine: own_observables.failing}", r"observe/also=\[custom\] fails at t = 0.*no such wind"),
        ("{mine: own_observables.Wrong}", r"targets.mine=own_observables.Wrong: a class must derive from .*Observable"),
        ("{h: own_observables.largest}", "h is recorded by the default set already"),
    ],
)
def test_what_cannot_be_recorded_is_refused_before_it_trains(own, tiny, targets, message):
    with pytest.raises(ConfigError, match=message):
        train_config(tiny(*QUICK, "observe/also=[custom]", f"observe.also.custom.targets={targets}"))


def test_done_runs_that_lack_what_is_asked_for_are_named_and_left_alone(own, tiny, caplog):
    trained(tiny(*QUICK, "seed=ensemble", "seed.members=2", *TARGETS))
    before = {path: path.stat().st_mtime_ns for path in own.rglob("results/runs/*/*")}
    more = (
        "observe/also=[cka,custom]",
        "observe.also.cka.probe=8",
        CUSTOM.replace("}", ", new: own_observables.largest}"),
    )
    with caplog.at_level(logging.WARNING):
        trained(tiny(*QUICK, "seed=ensemble", "seed.members=3", *more))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "2 of 3 runs lack cka",
        "2 of 3 runs lack new",
    ]
    assert "output_dir=DIR" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in before} == before
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        trained(tiny(*QUICK, "seed=ensemble", "seed.members=2", *TARGETS))
    assert caplog.records == []


def test_a_sweep_says_it_once_for_all_its_jobs(train_py, tmp_path):
    sweep = ("-m", *(word for word in (*TINY, *QUICK) if not word.startswith("alpha")), "alpha.value=10,100")
    assert train_py(tmp_path / "results", *sweep).returncode == 0
    again = train_py(tmp_path / "results", *sweep, "observe/also=[cka]", "observe.also.cka.probe=4")
    assert again.returncode == 0
    assert (again.stdout + again.stderr).count("2 of 2 runs lack cka") == 1


def test_runs_without_quantities_and_with_damaged_ones_load(own, tiny):
    [run] = trained(tiny(*QUICK))
    assert "quantities" not in run.manifest
    assert run.quantities == QUANTITIES
    folder = shutil.copytree(run.path, own / "copy" / run.run_id)
    (folder / "done").unlink()
    manifest = {**run.manifest, "quantities": {"a": {"label": "A", "new": "x"}, "b": {"label": 3}, "c": "d"}}
    manifest["sha256"] = checksum(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert load_run(folder).quantities == {**QUANTITIES, "a": Quantity("A")}


@pytest.mark.parametrize("dynamics", ["tangent", "sgd"])
def test_killed_and_resumed_is_bit_for_bit_the_same(own, tiny, dynamics):
    chosen = ("observe/also=[cka,features,custom]", "observe.also.cka.every=2", CUSTOM)
    small = ("observe.also.cka.probe=8", "observe.also.features.probe=8", "dataset.n_train=50", "width.h=11")
    ways = {"tangent": ("alpha.value=10", "dynamics.stepper=tangent"), "sgd": ("dynamics=sgd", "dynamics.updates=60")}
    job = (*chosen, *small, *ways[dynamics], "seed=ensemble", "seed.members=2", "checkpoint_every=1e-9")
    process = start(train, tiny(*job, f"output_dir={own / 'whole'}"))
    process.join()
    assert process.exitcode == 0
    assert kill_until_done(tiny(*job), random.Random(1), kills=3, longest=0.7) > 0
    # Without the lists of files: a run that is killed after it is done keeps its owners' files.
    found, whole = ({run: kept[:2] for run, kept in science(own / name).items()} for name in ("results", "whole"))
    assert found == whole
    [first, *_] = load_sweep(own / "results").runs
    assert {"cka", "features/W1/change", "d/l1"} <= {*first.history}
