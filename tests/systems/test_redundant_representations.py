"""Redundant representations: chunks of a layer beside their definitions, and laws on planted sweeps."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import CrossEntropy
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.measure.moment import Setting
from feature_lazy.measure.observer import Observer
from feature_lazy.networks.activations import Erf, Relu, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.redundant_representations import claim
from feature_lazy.systems.redundant_representations.chunks import correlation, residual
from feature_lazy.systems.redundant_representations.quantity import Representations
from tests.arrays import normal
from tests.measure.observing import moment
from tests.study.conftest import sweep
from tests.systems.reference import reference

LAWS = (claim.explained, claim.classified, claim.redundant)
X, X_TEST = normal(8, 4, seed=1), normal(30, 4, seed=2)
Y, Y_TEST = torch.arange(8) % 3, torch.arange(30) % 3


def test_equals_least_squares_and_numpys_correlations():
    known = reference("redundant_representations")
    units = known["units"] - known["units"].mean(0)
    left = residual(units[None], torch.tensor([0, 1, 2]))
    assert float(1 - left.square().sum() / units.square().sum()) == pytest.approx(known["r2"], rel=1e-7)
    found = correlation(left, units[None], torch.arange(3, units.shape[1]))
    # The last unit is dead: it counts in no pair.
    assert float(found) == pytest.approx(known["residual_correlation"], rel=1e-6)


def ended(net, w0, w, one, *, alpha=2.0, centred=True):
    flow = NetworkFlow(net, X, Y, CrossEntropy(), alpha=torch.tensor([alpha]).double(), w0=w0, centred=centred)
    setting = Setting(flow, NetworkModel(net), Dataset(X, Y, X_TEST, Y_TEST), w0, 30)
    return Observer(setting, [], {"representations": one}).end(moment(setting, torch.tensor([0]), w))[0]


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("bias", [0.0, 0.5])
def test_error_of_a_chunk_is_that_of_the_network_without_the_other_units(bias, centred):
    """Rows of the output layer that are not a chunk's set to 0, in w and in w₀; biases stay."""
    net = FullyConnected(4, [6, 7], scaled(Erf()), n_outputs=3, bias=bias)
    w0 = normal(1, net.layout.size, seed=3)
    w = w0 + normal(1, net.layout.size, seed=4)
    found = ended(net, w0, w, Representations(sizes=[2, 5], draws=4), centred=centred)

    def f(weights, chosen):
        named = net.layout.unflatten(weights)
        last = torch.zeros_like(named["W2"])
        last[..., chosen] = named["W2"][..., chosen]
        return net.apply({**named, "W2": last}, X_TEST).unflatten(1, (-1, 3))[0]

    for size in (2, 5):
        errors = []
        for draw in range(4):
            chosen = torch.from_numpy(stream(0, "chunk", str(draw)).permutation(7)[:size])
            predictor = f(w, chosen) - (f(w0, chosen) if centred else 0)
            errors.append((predictor.argmax(1) != Y_TEST).double().mean())
        assert found[f"last/chunk_{size}/test_error"] == pytest.approx(float(sum(errors) / 4))
        assert 0 < found[f"last/chunk_{size}/r2"] < 1
    assert found["last/chunk_5/r2"] > found["last/chunk_2/r2"]
    assert np.isnan(found["last/clone_size"])


@pytest.mark.parametrize(("shared", "size"), [(100.0, 32.0), (25.0, float("nan"))])
def test_clones_are_found_where_they_are_made(shared, size):
    """Sixteen copies of a unit for each class, each with noise of its own: half of them say it all, two do not.

    Where noise is a tenth of what they share, a part classifies as well and says less than 98 % of the others.
    """
    net = FullyConnected(68, [64], scaled(Relu()), n_outputs=4)
    copies = torch.eye(4, dtype=torch.float64).repeat(16, 1)
    first = torch.cat([shared * copies, 5 * torch.eye(64, dtype=torch.float64)], dim=1)
    w = torch.cat([first.flatten(), copies.T.flatten()])[None]
    y = torch.arange(160) % 4
    patterns = torch.cat([torch.eye(4, dtype=torch.float64)[y], normal(160, 64, seed=7)], dim=1)
    flow = NetworkFlow(net, patterns[:8], y[:8], CrossEntropy(), alpha=torch.ones(1).double(), w0=w, centred=False)
    setting = Setting(flow, NetworkModel(net), Dataset(patterns[:8], y[:8], patterns, y), w, 160)
    one = Representations(sizes=[2, 32, 48], draws=3)
    found = Observer(setting, [], {"x": one}).end(moment(setting, torch.tensor([0]), w))[0]
    assert found["last/chunk_2/r2"] < 0.9
    assert found["last/clone_size"] == pytest.approx(size, nan_ok=True)


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ([7], "a chunk of 7 units is no part of a layer of 7"),
        ([6], "18 test patterns do not tell what 6 units say of others"),
    ],
)
def test_refusals(sizes, sentence):
    net = FullyConnected(4, [6, 7], scaled(Erf()), n_outputs=3)
    w0 = normal(1, net.layout.size, seed=3)
    flow = NetworkFlow(net, X, Y, CrossEntropy(), alpha=torch.ones(1).double(), w0=w0)
    setting = Setting(flow, NetworkModel(net), Dataset(X, Y, X_TEST[:18], Y_TEST[:18]), w0, 18)
    with pytest.raises(ConfigError, match=sentence):
        Observer(setting, [], {"x": Representations(sizes=sizes)})


def table(*, r2=(0.90, 0.85), error=(0.37, 0.44), layer=(0.97, 0.99), unfit=0.0):
    """Runs with decay and without; r² and error of each; R² of lazy and of learnt ones."""
    random = np.random.default_rng(0)
    rows = []
    for kind, (decay, x) in enumerate([(1e-4, 10.0), (0.0, 10.0), (0.0, 1e4)]):
        for seed in range(6):
            some = min(kind, 1)
            own = {
                claim.SAID: r2[some] + random.normal(0, 0.005),
                claim.ERROR: error[some] + random.normal(0, 0.005),
                claim.LAYER: layer[0 if kind == 2 else 1] + random.normal(0, 0.0005),
                claim.UNFIT: unfit,
            }
            run = SimpleNamespace(config={"dynamics": {"weight_decay": decay}}, history={})
            rows.append({**own, "h": 128, "sqrt_h_alpha": x, "seed": seed, "outcome": "t_end", "run": run})
    return pd.DataFrame(rows)


def verdicts(found):
    return [row.verdict for one in LAWS for row in readings(one, found)]


def test_planted_laws():
    assert verdicts(table()) == [AGREES] * 3
    assert verdicts(table(r2=(0.8, 0.85), error=(0.5, 0.44), layer=(0.995, 0.99))) == [DIFFERS] * 3
    # Where the training set is not fit nothing is told.
    assert verdicts(table(unfit=0.01)) == [CANNOT_TELL] * 3


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_other_sweeps_do_not_hear_of_it(law):
    assert law.name not in {row.name for row in laws(sweep())}
