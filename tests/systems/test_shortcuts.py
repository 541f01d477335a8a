"""Data with a shortcut, what a network relies on, the laws, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import erf

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.labels import Parity
from feature_lazy.dynamics.losses import Mse
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.observer import Observer
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import X
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.shortcuts import claim
from feature_lazy.systems.shortcuts.data import Shortcut
from feature_lazy.systems.shortcuts.quantity import BIAS, RELIANCE, ShortcutBias
from tests.measure.observing import setting
from tests.study.conftest import sweep
from tests.systems.reference import reference

DATA = {"kind": "shortcut", "n_train": 2000, "n_test": 20000}


def directions(data):
    x = data.embedded(np.eye(2), data.seed)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("nesting", [[0, 0], [2, 1]])
def test_patterns_are_those_of_the_law(nesting):
    data = Shortcut(**DATA, dim=40, nesting=nesting)
    made = data.build(Parity())
    x, y = made.x_test.numpy(), made.y_test.numpy()
    # z² has a standard deviation of 1.2 times its mean: three standard errors of 20 000 are 0.026.
    assert np.mean(np.square(x).sum(1)) == pytest.approx(40, rel=0.026)
    assert y.sum() == 0
    if nesting == [0, 0]:
        signs = np.sign(x @ directions(data).T)
        # Three standard errors of shares are 0.008.
        np.testing.assert_allclose((signs == y[:, None]).mean(0), data.predictivity, atol=0.008)
        np.testing.assert_allclose(directions(data) @ directions(data).T, np.eye(2), atol=1e-12)
        ratio = np.square(x @ directions(data).T).mean(0) / (1 + data.means**2)
        assert ratio[0] / ratio[1] == pytest.approx(256, rel=0.06)
    # More patterns are the same ones and some more; test patterns are others.
    fewer = Shortcut(**{**DATA, "n_train": 100}, dim=40, nesting=nesting).build(Parity())
    torch.testing.assert_close(fewer.x_train, made.x_train[:100])


def test_probes_disagree_and_are_in_no_set():
    data = Shortcut(**DATA, predictivity=[0.9, 0.9])
    made = data.build(Parity())
    assert made.x_probe.shape == (242, 100)
    z = made.x_probe.numpy() @ directions(data).T
    assert (z[:, 0] * z[:, 1] < 0).all()
    np.testing.assert_array_equal(np.sign(z[:, 0]), made.probe_votes[:, 0])
    # Equally good features: nobody is right where they are equally strong.
    assert (made.probe_votes[:, 1] == 0).sum() == 22
    assert len(made.x_test) == 20000
    assert made.fingerprint == Shortcut(**DATA, predictivity=[0.9, 0.9]).build(Parity()).fingerprint


def test_bias_is_that_of_the_reference():
    known = reference("shortcuts")
    data = Shortcut(
        n_train=10, n_test=10, dim=6, predictivity=((1 + erf(known["means"].numpy() / np.sqrt(2))) / 2).tolist()
    )
    np.testing.assert_allclose(data.means, known["means"], rtol=1e-10)
    made = data.build(Parity())
    net = FullyConnected(6, [7], scaled(Erf()))
    weights = {"W0": (known["first"].T @ torch.from_numpy(directions(data)))[None], "W1": known["last"][None, None]}
    weights = {name: weights[name].reshape(1, *net.layout.shapes[name]) for name in net.layout.shapes}
    w = net.layout.flatten(weights)
    stays = setting(net, made, Mse(), alpha=torch.ones(1).double(), w0=torch.zeros_like(w), n_test=10)
    observer = Observer(stays, [], {"shortcut_bias": ShortcutBias()})
    [start, end] = observer.observe(Moment(stays, torch.tensor([0, 0]), torch.cat([0 * w, w]), torch.zeros(2)))
    assert end[RELIANCE] == pytest.approx(known["reliance"])
    assert end[BIAS] == pytest.approx(known["bias"])
    assert start[RELIANCE] == 0.5


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["dataset.predictivity=[0.5,0.9]"], r"predictivity=\[0.5,0.9\]: must be between ½ and 1"),
        (["dataset.availability=[1,2,3]"], r"availability=\[1.0,2.0,3.0\]: must be two numbers"),
        (["dataset.dim=8", "dataset.nesting=[1,0]"], "dataset.dim=8: must be at least 9"),
        (["dataset=stripe"], "dataset=stripe has no shortcut; use dataset=shortcut"),
        (["labels=classes", "loss=mse"], "labels=classes are not ±1"),
    ],
)
def test_refusals(tiny, overrides, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny("dataset=shortcut", "observe/also=[shortcut_bias]", *overrides))


def planted(biases, activation="relu", bias=1.0, splits=4):
    """Runs at two ratios of availability, whose biases are given, with noise over splits and seeds."""
    random, rows = np.random.default_rng(0), []
    for split in range(splits):
        for ratio, value in biases.items():
            config = {
                "dataset": {"kind": "shortcut", "availability": [ratio, 1.0], "seed": split},
                "architecture": {"bias": bias},
            }
            run = type("Run", (), {"config": config})
            own = {X: 100.0, "activation": activation, BIAS: value + random.normal(0, 0.01), "outcome": "t_end"}
            rows.append({**own, "run": run})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("law", "runs", "rise", "verdict"),
    [
        (claim.nonlinear, {}, 0.15, AGREES),
        (claim.nonlinear, {}, -0.15, DIFFERS),
        (claim.linear, {"activation": "linear"}, 0.0, AGREES),
        (claim.linear, {"activation": "linear"}, 0.15, DIFFERS),
        (claim.homogeneous, {"bias": 0.0}, 0.0, AGREES),
        (claim.homogeneous, {"bias": 0.0}, 0.15, DIFFERS),
    ],
)
def test_planted_law(law, runs, rise, verdict):
    [row] = readings(law, planted({1.0: 0.02, 16.0: 0.02 + rise}, **runs))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(rise, abs=0.02)
    assert row.paper == "2310.16228"


def test_other_sweeps_do_not_hear_of_it():
    table = sweep()
    assert claim.linear.name not in {row.name for row in laws(table)}
    assert "needs the column test/shortcut_bias" in readings(claim.linear, table)[0].measured
