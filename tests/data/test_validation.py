"""Validation patterns, and targets without noise: what is trained on and tested on stays as it is."""

import numpy as np
import pytest
import torch

from feature_lazy import load_sweep
from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.core.streams import stream
from feature_lazy.data.custom import split
from feature_lazy.data.labels import Classes, OneVsRest, Parity, RandomLabels, Regression
from feature_lazy.data.prepare import prepare, prepare_synthetic
from feature_lazy.data.synthetic import Spheres, TeacherStudent
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.measure.quantities.fit import fit
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from tests.arrays import normal
from tests.conftest import QUICK

SAME = ("x_train", "y_train", "x_test", "y_test", "classes_train", "classes_test")
LABELS = [Parity(), OneVsRest(1), RandomLabels(3), Regression(), Classes()]
REGRESSION = ("dataset=teacher_student", "labels=regression", "loss=mse")


def both(prepared):
    """Data without and with validation patterns, of which the rest is the same to the last bit."""
    plain, held = prepared(0), prepared(30)
    assert plain.x_valid is None
    assert plain.y_valid is None
    for name in SAME:
        assert torch.equal(getattr(plain, name), getattr(held, name)), name
    assert (held.x_valid.shape, held.y_valid.shape) == ((30, plain.input_dim), (30,))
    assert held.y_valid.dtype == held.y_train.dtype
    x = torch.cat([held.x_train, held.x_test, held.x_valid])
    assert len(torch.unique(x, dim=0)) == len(x)
    return held


@pytest.mark.parametrize("labels", LABELS, ids=lambda one: one.kind)
def test_images_after_those_of_the_test_set(labels):
    sizes = {"labels": labels, "classes": [1, 4, 7] if labels.kind in ("one_vs_rest", "classes") else ()}
    held = both(lambda n: prepare("digits", 60, 30, 0, n_valid=n, **sizes))
    if labels.kind not in ("regression", "classes"):
        assert held.y_valid.sum() == 0
    # The next patterns of a larger test set.
    assert torch.equal(held.x_valid, prepare("digits", 60, 60, 0, **sizes).x_test[30:])


@pytest.mark.parametrize("labels", [*LABELS[:3], Classes()], ids=lambda one: one.kind)
def test_drawn_after_those_of_the_test_set(labels):
    law = Spheres(dim=5, shells=3 if labels.kind == "classes" else 2)
    held = both(lambda n: prepare_synthetic(law, 60, 30, 0, labels=labels, n_valid=n))
    assert torch.equal(held.y_valid, prepare_synthetic(law, 60, 60, 0, labels=labels).y_test[30:])


def test_a_users_own():
    x, y = normal(9, 2, 3), torch.tensor([1.0, -1, 1, -1, 1, -1, 1, -1, 1])
    data = split(lambda: (x, y), 4, 2, 3)
    assert torch.equal(data.x_valid, x[6:].flatten(1))
    assert data.y_valid.tolist() == [1, -1, 1]
    assert (data.shape, data.n_outputs) == ((2, 3), 1)
    with pytest.raises(DataError, match=r"dataset.n_valid = 4 \+ 2 \+ 4 asks for 10"):
        split(lambda: (x, y), 4, 2, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("dataset.n_valid=3",), "dataset.n_valid=3: must be even"),
        (("dataset.n_valid=-2",), "dataset.n_valid=-2: must be at least 0"),
        (("dataset.n_valid=1720",), r"dataset.n_test=20 and dataset.n_valid=1720: digits has 1740 patterns"),
        (("dataset=sparse_parity", "dataset.dim=6", "dataset.n_valid=2"), "and dataset.n_valid=2 may ask for half"),
        (("dataset=teacher_student", "dataset.noise=0.5"), "labels=parity has none; use labels=regression loss=mse"),
        ((*REGRESSION, "dataset.noise=-1"), "dataset.noise=-1.0: must be at least 0"),
    ],
)
def test_what_cannot_be_is_refused(tiny, words, message):
    sizes = ("dataset.n_train=20", "dataset.n_test=12") if "dataset=sparse_parity" in words else ()
    with pytest.raises(ConfigError, match=message):
        validate(tiny(*words, *sizes))


def test_noise_is_on_what_is_learnt_from_and_not_on_the_test_set():
    plain, noisy = (
        prepare_synthetic(TeacherStudent(noise=sd), 4000, 200, 3, labels=Regression(), n_valid=2000)
        for sd in (0.0, 0.5)
    )
    for name in ("x_train", "x_test", "x_valid", "y_test", "f_test"):
        assert torch.equal(getattr(plain, name), getattr(noisy, name)), name
    assert torch.equal(noisy.f_test, noisy.y_test)
    noise = [noisy.y_train - plain.y_train, noisy.y_valid - plain.y_valid]
    for one in noise:
        n = len(one)
        # Four standard errors of mean and variance of N(0, ¼).
        assert abs(one.mean()) < 4 * 0.5 / n**0.5
        assert abs(one.var() - 0.25) < 4 * 0.25 * (2 / n) ** 0.5
    np.testing.assert_allclose(
        noise[0], 0.5 * stream(3, "synthetic", "noise", "train").standard_normal(4000), atol=1e-12
    )
    assert abs(torch.corrcoef(torch.stack([noise[0][:2000], noise[1]]))[0, 1]) < 4 / 2000**0.5
    fewer = prepare_synthetic(TeacherStudent(noise=0.5), 40, 20, 3, labels=Regression())
    # More patterns are the same ones, with the same noise, and some more.
    clean = prepare_synthetic(TeacherStudent(), 40, 20, 3, labels=Regression())
    torch.testing.assert_close(fewer.y_train - clean.y_train, noise[0][:40])


def test_only_real_targets_have_one_without_noise():
    assert prepare_synthetic(TeacherStudent(), 20, 20, 0).f_test is None
    assert prepare("digits", 20, 20, 0, labels=Regression()).f_test is None


def test_ids_stay_where_there_is_neither(tiny):
    ids = [
        cells(tiny("dataset=teacher_student", *more))[0].run_id
        for more in ((), ("dataset.n_valid=0", "dataset.noise=0"), ("dataset.n_valid=2",))
    ]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("dynamics", ["gradient_flow", "linearised"])
def test_columns_of_the_validation_set(tiny, dynamics):
    config = tiny(f"dynamics={dynamics}", "alpha.value=10", "dataset.n_valid=8", "observe/also=[outputs]")
    batch = build(config)
    train_config(config)
    [run] = load_sweep(config.output_dir).runs
    predictor = torch.from_numpy(run.outputs["F_valid"])[None]
    expected = fit(predictor, batch.dataset.y_valid, SoftHinge())
    assert run.history["valid/error"][0] == 1  # F = 0: no margin is positive
    for name, value in expected.items():
        assert run.summary[f"valid/{name}"] == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_array_equal(run.over_time("F_valid")[1][-1], run.outputs["F_valid"])
    assert run.outputs["y_valid"].tolist() == batch.dataset.y_valid.tolist()


def test_validation_changes_no_other_column(tiny, tmp_path):
    held, plain = (
        train_config(tiny(*QUICK, *more, f"output_dir={tmp_path / name}"))
        for name, more in (("held", ("dataset.n_valid=8",)), ("plain", ()))
    )
    [one], [other] = (load_sweep(tmp_path / name).runs for name in ("held", "plain"))
    assert (held, plain) == ([one.run_id], [other.run_id])
    assert {name for name in one.history if not name.startswith("valid/")} == {*other.history}
    for name, values in other.history.items():
        np.testing.assert_array_equal(one.history[name], values)


def test_excess_risk_of_two_members(tiny):
    words = (*REGRESSION, "dataset.noise=0.7", "loss.margin_tol=0.05", "alpha.value=1e4", "observe.n_test=8")
    train_config(tiny(*words, "seed=ensemble", "seed.members=2"))
    runs = load_sweep(tiny().output_dir).runs
    assert len(runs) == 2
    for run in runs:
        target = run.outputs["y_test"]
        assert run.history["test/excess"][0] == pytest.approx(np.mean(target[:8] ** 2))  # F = 0
        assert run.history["test/excess"][-1] == pytest.approx(np.mean((run.outputs["F_test"] - target)[:8] ** 2))
        assert run.summary["test/excess"] == pytest.approx(np.mean((run.outputs["F_test"] - target) ** 2))
        assert run.summary["test/excess"] == pytest.approx(2 * run.summary["test/loss"])  # ℓ = ½(F − f*)²
        # The noise is learnt: F comes to the noisy targets, and not to f*.
        assert np.abs(run.outputs["F_train"] - run.outputs["y_train"]).max() < 0.06
