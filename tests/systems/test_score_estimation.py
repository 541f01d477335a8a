"""Patterns under noise and what is expected of them, the laws of early stopping, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.labels import Parity, Regression
from feature_lazy.kernels import mse_prediction
from feature_lazy.networks.activations import Relu, scaled
from feature_lazy.networks.limits.infinite import infinite_kernels
from feature_lazy.runs.batch import build
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.table import H, X, with_runs
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.score_estimation import claim
from feature_lazy.systems.score_estimation.data import Score
from tests.conftest import TINY, composed
from tests.systems.reference import reference

JOB = ("dataset=score", "labels=regression", "loss=mse")


def test_expected_is_that_of_quadrature():
    known = reference("score_estimation")
    for case in known["cases"].values():
        means, sigma, x, t, wanted = case["means"], case["sigma"], case["x"], case["t"], case["expected"]
        law = Score(components=means, sigma=sigma)
        found = law.expected(np.stack([np.array(x), np.array(t) - 1], axis=1))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_patterns_have_the_noise_of_their_time_and_test_targets_none():
    data = Score(n_train=4000, n_test=4000, n_valid=4000).build(Regression())
    assert data.x_train.shape == (4000, 2)
    assert data.shape == (2,)
    # What is learnt from has E(X₀ − f*)² = 0.815 and f* has 0.272, to three standard errors of 4000 patterns.
    law = Score()
    noise = data.y_train.numpy() - law.expected(data.x_train.numpy())
    assert noise.mean() == pytest.approx(0, abs=0.045)
    assert np.square(noise).mean() == pytest.approx(0.815, abs=0.04)
    np.testing.assert_array_equal(data.f_test, law.expected(data.x_test.numpy()))
    np.testing.assert_array_equal(data.f_test, data.y_test)
    assert float(data.f_test.square().mean()) == pytest.approx(0.272, abs=0.02)
    # Held-out patterns are as noisy as those that are learnt from.
    held_out = data.y_valid.numpy() - law.expected(data.x_valid.numpy())
    assert np.square(held_out).mean() == pytest.approx(0.815, abs=0.04)
    # X_t has the variance a²(µ² + σ²) + 1 − a², t is uniform; more patterns are the same ones and some more.
    t = data.x_train[:, 1].numpy() + 1
    a2 = np.exp(-2 * t)
    scaled_x = data.x_train[:, 0].numpy() / np.sqrt(a2 * 1.09 + 1 - a2)
    assert np.square(scaled_x).mean() == pytest.approx(1, abs=0.06)
    assert (t.min() >= 0.05, t.max() <= 2.0) == (True, True)
    assert t.mean() == pytest.approx(1.025, abs=0.03)
    fewer = Score(n_train=100, n_test=10).build(Regression())
    np.testing.assert_array_equal(fewer.x_train, data.x_train[:100])


def test_the_class_is_the_component():
    data = Score(n_train=100, n_test=10).build(Parity())
    assert data.y_train.sum() == 0
    assert data.f_test is None
    assert (data.x_train[data.y_train > 0, 0].mean() > 0.1).item()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("dataset.dim=2", "dataset.dim=2: E.X₀|X_t. has as many numbers as X₀, and labels=regression has one output"),
        ("dataset.components=[1]", r"components=\[1.0\]: must be two or more numbers, ascending"),
        ("dataset.components=[1,-1]", "must be two or more numbers, ascending"),
        ("dataset.t_min=2", "dataset.t_min=2: must be below dataset.t_max=2"),
    ],
)
def test_refusals(configure, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(configure(*JOB, override))


def curves(least, end, stopped=1.0, *, t_last=1e6, sizes=(50, 100, 200), splits=5, x=1e3):
    """Runs whose excess falls to ``least`` and rises to ``end``, functions of P; held out, the wrong time is chosen."""
    rows, random = [], np.random.default_rng(0)
    for P in sizes:
        for split in range(splits):
            low, high = (one(P) * np.exp(random.normal(0, 0.02)) for one in (least, end))
            history = {
                "t": np.array([0.0, 10, 20, t_last]),
                claim.EXCESS: np.array([1.0, low, low * stopped, high]),
                claim.HELD_OUT: np.array([0.5, 0.41, 0.4, 1.0]),
            }
            config = {"dataset": {"kind": "score", "seed": split}}
            place = {"P": P, H: 100, X: x, "alpha": x / 10, "seed": 0, "outcome": "t_end"}
            rows.append({**place, **dict.fromkeys((claim.EXCESS, claim.HELD_OUT), high), "run": None})
            rows[-1]["run"] = SimpleNamespace(history=history, config=config)
    return pd.DataFrame(rows)


def said(law, table):
    [row] = readings(law, table)
    return row


@pytest.mark.parametrize(
    ("least", "end", "verdicts"),
    [
        (-0.6, 0.0, (AGREES, AGREES, AGREES)),
        (-0.2, 0.0, (AGREES, DIFFERS, AGREES)),
        (-0.6, -0.6, (AGREES, AGREES, DIFFERS)),
    ],
)
def test_planted_exponents(least, end, verdicts):
    table = curves(lambda P: 0.05 * (P / 50) ** least, lambda P: 1.2 * (P / 50) ** end)
    rows = [said(law, table) for law in (claim.early, claim.least, claim.fitted)]
    assert tuple(row.verdict for row in rows) == verdicts
    assert rows[1].estimate.value == pytest.approx(least, abs=0.05)
    assert rows[2].estimate.value == pytest.approx(end, abs=0.05)


def test_planted_curves_that_need_no_stopping():
    """0.5/1.2 is above 0.3 at the P where it is largest, wherever it is small."""
    row = said(claim.early, curves(lambda P: 0.5 if P == 100 else 0.05, lambda P: 1.2))
    assert row.verdict == DIFFERS
    assert row.estimate.value == pytest.approx(0.5 / 1.2, rel=0.05)


@pytest.mark.parametrize(("stopped", "verdict"), [(1.02, AGREES), (1.3, DIFFERS)])
def test_planted_stopping_rule(stopped, verdict):
    row = said(claim.held_out, curves(lambda P: 0.05, lambda P: 1.2, stopped))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(stopped, rel=1e-9)


@pytest.mark.parametrize("other", [{"t_last": 100.0}, {"x": 0.1}, {"splits": 1}])
def test_runs_that_have_not_fit_that_are_not_lazy_or_of_one_split_do_not_count(other):
    table = curves(lambda P: 0.05, lambda P: 1.2, **other)
    for law in (claim.early, claim.least, claim.fitted, claim.held_out):
        assert said(law, table).verdict == CANNOT_TELL


def test_lazy_networks_and_the_kernel_of_infinite_width(tmp_path):
    """The law's own kernel against one that is made here, on the networks' own data."""
    job = (*TINY, *JOB, "activation=relu", "architecture.bias=0.3", "alpha.value=1e4", "dynamics=linearised")
    job = (*job, "dynamics.t_end=30", "observe/also=[limit]", "observe.also.limit.probe=10", "dataset.seed=0,1")
    for split in (0, 1):
        run(build(composed(*job[:-1], f"dataset.seed={split}", f"output_dir={tmp_path}")))
    table = with_runs(load_sweep(tmp_path))
    ratios = []
    for row in table.to_dict("records"):
        data = Score(n_train=20, n_test=20, seed=row["run"].config["dataset"]["seed"]).build(Regression())
        theta, onto = (
            infinite_kernels(scaled(Relu()), 2, x, data.x_train, bias=0.3).ntk for x in (data.x_train, data.x_test)
        )
        predicted = mse_prediction(theta, onto, data.y_train, row["run"].history["t"][1:])[1]
        best = (predicted - data.f_test).square().mean(1).min()
        ratios.append(np.nanmin(row["run"].history[claim.EXCESS]) / float(best))
    assert said(claim.beside_the_kernel, table).estimate.value == pytest.approx(np.mean(ratios), rel=1e-6)
    assert said(claim.deviation, table).verdict == CANNOT_TELL  # one width
