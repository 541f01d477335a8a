"""Observables of runs that are trained already: as their training would have recorded them, beside what is stored."""

import json
import logging
import os
import re

import numpy as np
import pytest

from feature_lazy import load_sweep
from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.launch.commands import main
from feature_lazy.measure.quantities.alignment import Cka
from feature_lazy.measure.quantities.spectrum import Spectrum
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs import measured
from feature_lazy.runs.job import train_config
from feature_lazy.runs.measuring import measure
from feature_lazy.runs.reading import load_run
from tests.conftest import QUICK

TWO = ("seed=ensemble", "seed.members=2")
MORE = (
    "observe/also=[cka,spectrum,outputs,custom]",
    "observe.also.cka.probe=8",
    "observe.also.cka.every=3",
    "observe.also.spectrum.probe=8",
    "observe.also.custom.targets={mine: own_measures.Far, peak: own_measures.peak}",
)
OWN = '''
"""Observables of a user's own."""
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable


class Far(Observable):
    quantities = {"far": Quantity("‖w − w₀‖")}

    def begin(self, moment):
        self.w0 = moment.weights.clone()

    def at(self, moment):
        return {"far": (moment.weights - self.w0[moment.member]).norm(dim=1)}

    def end(self, moment):
        return {"largest": moment.F_train.amax(1)}, {"last": moment.weights}


def peak(moment):
    return moment.velocity.abs().amax(1)
'''
# F = α(f − f₀) in one batch or alone: α = 10/√8 times the rounding of f, over quantities of order 1.
ROUNDING = {"rtol": 1e-9, "atol": 1e-10}


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    (tmp_path / "own_measures.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)


def trained(config):
    return [load_run(f"{config.output_dir}/runs/{run_id}") for run_id in train_config(config)]


def contents(run):
    return {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if not isinstance(values, str | None):
            np.testing.assert_allclose(found[name], values, **ROUNDING, err_msg=name)


@pytest.mark.parametrize("dynamics", ["gradient_flow", "linearised", "sgd"])
def test_as_if_recorded_while_it_was_trained(tiny, tmp_path, dynamics):
    ways = {"gradient_flow": QUICK, "sgd": ("dynamics=sgd", "dynamics.updates=40"), "linearised": ("alpha.value=10",)}
    job = (f"dynamics={dynamics}", *ways[dynamics], *TWO, "dataset.n_valid=8")
    before = trained(tiny(*job, "observe.weights=all"))
    files = [contents(run) for run in before]
    assert main(["measure", tiny().output_dir, *MORE]) == 0
    for run, expected, old in zip(
        before, trained(tiny(*job, *MORE, f"output_dir={tmp_path / 'o'}")), files, strict=True
    ):
        found = load_run(run.path)
        found.verify()
        assert contents(found) == old
        same(found.history, expected.history)
        same({k: v for k, v in found.summary.items() if k in expected.summary}, expected.summary)
        same(found.outputs, expected.outputs)
        for name in ("F_train", "F_test", "F_valid"):
            for one, other in zip(found.over_time(name), expected.over_time(name), strict=True):
                np.testing.assert_allclose(one, other, **ROUNDING)
        assert found.quantities == expected.quantities
    table = load_sweep(tiny().output_dir).table.set_index("run_id")
    assert table.loc[found.run_id, "cka"] == found.measured["cka"].summary["cka"]


def test_from_the_ends(tiny):
    [run] = trained(tiny(*QUICK, "observe.weights=ends"))
    found = measure(run, {"cka": Cka(probe=8, every=2)})
    cka = found.history["cka"]
    assert cka[0] == pytest.approx(1, rel=1e-12)
    assert cka[-1] == found.summary["cka"] < 1
    assert np.isnan(cka[1:-1]).all()


def test_what_a_command_says_and_leaves(tiny, capsys, caplog):
    weighed = trained(tiny(*QUICK, "observe.weights=ends"))
    trained(tiny(*QUICK, *TWO))
    ask = ("observe/also=[cka]", "observe.also.cka.probe=8")
    with caplog.at_level(logging.WARNING):
        trained(tiny(*QUICK, *TWO, *ask))
    assert (
        f"2 of 2 runs lack cka: they were recorded without it, and are done. feature-lazy measure {tiny().output_dir}"
        in (caplog.text)
    )
    assert "from the stored weights of 1. Of the other 1 no weights are stored; train them anew" in caplog.text
    assert main(["measure", tiny().output_dir, *ask]) == 1
    said = capsys.readouterr()
    assert "1 of 2 runs measured, 0 had it already" in said.out
    assert "1 of 2 runs have no weights to measure from: train them anew with observe.weights=ends or all" in said.err
    assert main(["measure", tiny().output_dir, *ask, "--where", "seed=0"]) == 0
    assert "0 of 1 runs measured, 1 had it already" in capsys.readouterr().out
    # Other keys are measured anew, and take the place of what was there.
    assert (
        main(["measure", tiny().output_dir, "observe/also=[cka]", "observe.also.cka.probe=6", "--where", "seed=0"]) == 0
    )
    assert load_run(weighed[0].path).measured["cka"].keys["probe"] == 6
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        trained(tiny(*QUICK, *ask))
    assert caplog.records == []


def test_a_command_that_asks_for_weights(tiny, caplog):
    trained(tiny(*QUICK, "observe.weights=ends"))
    with caplog.at_level(logging.WARNING):
        trained(tiny(*QUICK, "observe.weights=ends"))
        assert caplog.records == []
        trained(tiny(*QUICK, "observe.weights=all"))
    assert "1 of 1 runs lack observe.weights=all" in caplog.text
    assert "feature-lazy measure" not in caplog.text


def test_two_members_together_are_each_alone(tiny, tmp_path):
    """What was measured of a run does not depend on who was trained beside it."""
    together = trained(tiny(*QUICK, *TWO, "observe.weights=all"))
    for seed, run in enumerate(together):
        [alone] = trained(tiny(*QUICK, f"seed.value={seed}", "observe.weights=all", f"output_dir={tmp_path / 'alone'}"))
        found, expected = (measure(one, {"cka": Cka(probe=8)}).history["cka"] for one in (run, alone))
        np.testing.assert_allclose(found, expected, **ROUNDING)


@pytest.mark.parametrize("moment", [0, 1, 2])
def test_killed_while_it_is_measured(tiny, monkeypatch, moment):
    """Before the arrays, between them and the numbers, and after: what is there is whole, and a repeat completes it."""
    [run] = trained(tiny(*QUICK, "observe.weights=ends"))
    calls, replace = iter(range(moment)), os.replace

    class Killed(BaseException):
        pass

    def dying(source, target, **folders):
        if next(calls, None) is None:
            raise Killed
        replace(source, target, **folders)

    words = ("observe/also=[outputs]",)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        if moment < 2:
            with pytest.raises(Killed):
                main(["measure", tiny().output_dir, *words])
        else:
            main(["measure", tiny().output_dir, *words])
    found = load_run(run.path)
    found.verify()
    assert (*found.measured,) == (("outputs",) if moment == 2 else ())
    assert main(["measure", tiny().output_dir, *words]) == 0
    np.testing.assert_array_equal(load_run(run.path).over_time("F_test")[1][-1].shape, (20,))


def test_damaged_or_of_another_training_it_counts_as_not_measured(tiny):
    [run] = trained(tiny(*QUICK, "observe.weights=ends"))
    measure(run, {"spectrum": Spectrum(probe=8)})
    path = run.path / "measured" / "spectrum.json"
    text = path.read_text()
    path.write_text(text.replace("probe", "prabe"))
    damaged = load_run(run.path)
    assert "spectrum/effective_rank" not in {**damaged.summary, **damaged.history}
    with pytest.raises(StoreError, match=r"spectrum\.json is damaged \(it does not match its checksum\)"):
        damaged.verify()
    assert main(["verify", str(run.path.parent.parent)]) == 1
    content = {k: v for k, v in json.loads(text).items() if k != "sha256"} | {"of": "another"}
    path.write_text(json.dumps({**content, "sha256": measured._checksum(content)}))
    other = load_run(run.path)
    other.verify()
    assert other.measured == {}


def test_a_link_in_place_of_what_was_measured_is_not_followed(tiny, tmp_path):
    [run] = trained(tiny(*QUICK, "observe.weights=ends"))
    measure(run, {"spectrum": Spectrum(probe=8)})
    (run.path / "measured").rename(tmp_path / "elsewhere")
    (run.path / "measured").symlink_to(tmp_path / "elsewhere")
    assert load_run(run.path).measured == {}


@pytest.mark.parametrize(
    ("also", "message"),
    [
        ({"cka": Cka(probe=99)}, r"observe\.also\.cka\.probe=99: must be at most dataset\.n_test=20"),
        ({"cka": Cka(probe=1)}, "observe.also.cka.probe=1: must be at least 2"),
        ({"spectrum": Spectrum(probe=8)}, "spectrum was recorded while it was trained; leave it out"),
        ({"../up": Cka(probe=8)}, r"\.\./up: what is measured gets a file of its name"),
    ],
)
def test_what_cannot_be_measured_is_refused(tiny, also, message):
    recorded = ("observe/also=[spectrum]", "observe.also.spectrum.probe=8")
    [run] = trained(tiny(*QUICK, *recorded, "observe.weights=ends"))
    with pytest.raises(ConfigError, match=message):
        measure(run, also)


def test_another_network_is_refused(tiny, monkeypatch):
    [run] = trained(tiny(*QUICK, "observe.weights=ends"))
    with monkeypatch.context() as patch:
        patch.setattr("feature_lazy.settings.cells.SCIENCE_VERSION", 99)
        with pytest.raises(ConfigError, match="this source makes another run"):
            measure(run, {"cka": Cka(probe=8)})
    drawn = FullyConnected.init
    monkeypatch.setattr(FullyConnected, "init", lambda self, seed: {n: 2 * w for n, w in drawn(self, seed).items()})
    with pytest.raises(StoreError, match="not those that this machine draws"):
        measure(run, {"cka": Cka(probe=8)})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["observe/also=[]"], "Nothing is to be measured"),
        (["observe/also=[cka]", "width.h=9"], r"width\.h=9: a run stays as it was trained"),
        (["observe/also=[ckb]"], "Did you mean cka"),
    ],
)
def test_commands_that_are_refused(tiny, capsys, words, message):
    trained(tiny(*QUICK, "observe.weights=ends"))
    assert main(["measure", tiny().output_dir, *words]) == 1
    assert re.search(message, capsys.readouterr().err)
