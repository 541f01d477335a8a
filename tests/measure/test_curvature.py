"""The observable ``curvature``: its columns beside dense matrices, its cadence, and what is refused."""

import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import CrossEntropy, Mse
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.kernels.lanczos import Density
from feature_lazy.measure.moment import Setting
from feature_lazy.measure.observer import Observer
from feature_lazy.measure.quantities.curvature import CurvatureOverTime
from feature_lazy.measure.quantity import quantity_of
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings.checks import validate
from tests.arrays import normal
from tests.conftest import QUICK, TINY
from tests.measure.observing import columns, moment

NET = FullyConnected(4, [5, 6], scaled(Tanh()), n_outputs=2)
X, X_TEST, Y = normal(6, 4, seed=1), normal(8, 4, seed=2), torch.tensor([0, 1, 0, 1, 0, 1])
Y_TEST = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
W0 = torch.cat([NET.layout.flatten({k: v[None] for k, v in NET.init(seed).items()}) for seed in (0, 1)])
ALPHA = torch.tensor([3.0, 0.5], dtype=torch.float64)
MEMBER = torch.tensor([1, 0])
MOVED = W0[MEMBER] + normal(2, W0.shape[1], seed=3) / 5


def stays(loss, *, centred=True):
    flow = NetworkFlow(NET, X, Y, loss, alpha=ALPHA, w0=W0, centred=centred)
    return Setting(flow, NetworkModel(NET), Dataset(X, Y, X_TEST, Y_TEST), W0, 8)


def observed(one, loss, w=MOVED, **more):
    setting = stays(loss, **more)
    observer = Observer(setting, [], {"curvature": one})
    now = moment(setting, MEMBER, w)
    return columns(observer.observe(now)), observer.series(now)


def hessian(loss, x, y, row, *, centred=True):
    """Of 𝓛 on some patterns, for a row of ``MOVED``."""
    alpha, w0 = ALPHA[MEMBER[row]], W0[MEMBER[row]]

    def f(w):
        return NET.apply(NET.layout.unflatten(w[None]), x)[0]

    def objective(w):
        predictor = alpha * (f(w) - f(w0) if centred else f(w))
        return loss(predictor[None], y).sum() / (alpha**2 * len(x))

    return torch.func.jacrev(torch.func.grad(objective))(MOVED[row])


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("of", ["train", "test"])
def test_columns(of, centred):
    loss = CrossEntropy()
    one = CurvatureOverTime(set=of, patterns=5, top=2, bottom=True, fisher="model", slq=12, vectors=2)
    found, series = observed(one, loss, centred=centred)
    x, y = (X, Y) if of == "train" else (X_TEST, Y_TEST)
    for row in (0, 1):
        values = torch.linalg.eigvalsh(hessian(loss, x[:5], y[:5], row, centred=centred)).flip(0)
        # Of second order in the bound on ‖Hv − λv‖/|λ|, 1e-2.
        for place, name in ((0, "hessian/eigenvalue_1"), (1, "hessian/eigenvalue_2"), (-1, "hessian/lambda_min")):
            assert float(found[name][row]) == pytest.approx(float(values[place]), rel=1e-3)
        # Twelve steps of a quadrature have met the largest eigenvalue of 62 weights.
        assert float(series[row]["hessian/nodes"].max()) == pytest.approx(float(values[0]), rel=1e-3)
        torch.testing.assert_close(series[row]["hessian/weights"].sum(1), torch.ones(2).double())
    torch.testing.assert_close(found["fisher/lambda_max"], found["ggn/lambda_max"])
    known = set(one.quantities) | {"hessian/eigenvalue_1", "hessian/eigenvalue_2"}
    assert set(found) <= known


def test_keys_say_what_is_recorded():
    found, series = observed(CurvatureOverTime(patterns=3, top=0, fisher="empirical"), Mse())
    expected = {"hessian/residual", "hessian/trace", "ggn/lambda_max", "empirical_fisher/lambda_max"}
    assert (set(found), series) == (expected, [{}, {}])


def test_batches():
    one = CurvatureOverTime(patterns=6, top=0, batches=[2, 3], draws=5)
    found, _ = observed(one, CrossEntropy())
    drawn = moment(stays(CrossEntropy()), MEMBER, MOVED).curvature(6).batch_top(3, 5)
    torch.testing.assert_close(found["ggn/batch_3"], drawn.mean(1))
    torch.testing.assert_close(found["ggn/batch_3_error"], drawn.std(1) / 5**0.5)
    assert (found["ggn/batch_2"] > found["ggn/batch_3"]).all()
    assert (found["ggn/batch_shift"] > 0).all()
    for name in ("ggn/batch_3", "ggn/batch_3_error", "ggn/batch_shift"):
        assert quantity_of(name, one.quantities).label != name  # each by its own pattern
    assert "error" in quantity_of("ggn/batch_3_error", one.quantities).label


def test_a_member_that_diverged_does_not_end_the_others():
    w = MOVED.clone()
    w[0] = math.nan
    found, series = observed(CurvatureOverTime(bottom=True, slq=3), CrossEntropy(), w)
    for name, values in found.items():
        assert values[0].isnan(), name
        assert values[1].isfinite(), name
    assert series[0]["hessian/nodes"].isnan().all()
    assert series[1]["hessian/nodes"].isfinite().all()


def test_in_a_run_at_its_cadence(tiny, tmp_path):
    job = (*QUICK, "observe/also=[curvature]", "observe.also.curvature.every=3", "loss=mse", "dynamics.t_end=3")
    [run_id] = train_config(tiny(*job))
    history = Store(str(tmp_path / "results")).load(run_id).history
    known = ~torch.tensor(history["hessian/residual"]).isnan()
    every = torch.arange(len(known)) % 3 == 0
    every[-1] = True
    assert torch.equal(known, every)
    # √h·α = 10 and F = 0 at the start, where R carries 1/α alone: by the ratio it has at ten times the α.
    [other] = train_config(tiny(*job, "alpha.value=100"))
    ratio = history["hessian/residual"][0] / Store(str(tmp_path / "results")).load(other).history["hessian/residual"][0]
    assert ratio == pytest.approx(10, rel=1e-9)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["loss=hinge", "dynamics=sgd"], "loss=hinge has a kink, and no second derivative there"),
        (["observe.also.curvature.fisher=model"], "loss=soft_hinge: e^(−ℓ) is no distribution of labels"),
        (["dynamics=frozen_kernel"], "with dynamics=frozen_kernel the network is linear in its weights"),
        (
            ["observe.also.curvature.batches=[4,20]"],
            "observe.also.curvature.batches=20: a batch must have fewer patterns than all, 20",
        ),
        (["observe.also.curvature.patterns=21"], "must be at most dataset.n_train=20"),
    ],
)
def test_refusals(configure, overrides, sentence):
    with pytest.raises(ConfigError) as error:
        validate(configure(*TINY, "observe/also=[curvature]", *overrides))
    assert sentence in str(error.value)


def by_hand(values, weights):
    """r_e and K_½ of one spectral density, node by node."""
    below = sum(abs(v * w) ** 0.5 for v, w in zip(values, weights, strict=True) if v < 0)
    above = sum((v * w) ** 0.5 for v, w in zip(values, weights, strict=True) if v > 0)
    return abs(min(values) / max(values)), below / above


def test_how_far_the_spectrum_reaches_below_0():
    """Of all Lanczos steps r_e is that of the dense matrix; K is that of the nodes that are stored, and means of each.

    On noisy patterns f₀ is that of the noisy patterns: with the weights of the start there is no difference.
    """
    loss, n = CrossEntropy(), W0.shape[1]
    one = CurvatureOverTime(patterns=5, top=0, slq=n, vectors=2, beside=["test", "noisy"], noise=0.3)
    found, series = observed(one, loss)
    x = X[:5] + 0.3 * torch.from_numpy(stream(0, "noisy patterns").standard_normal((5, 4)))
    for end, patterns, y in (("", X[:5], Y[:5]), ("_test", X_TEST[:5], Y_TEST[:5]), ("_noisy", x, Y[:5])):
        for row in (0, 1):
            values = torch.linalg.eigvalsh(hessian(loss, patterns, y, row))
            ratio = float((values[0] / values[-1]).abs())
            assert float(found[f"hessian/re{end}"][row]) == pytest.approx(ratio, rel=1e-5)
    for row in (0, 1):
        nodes, weights = (series[row][f"hessian/{name}"].tolist() for name in ("nodes", "weights"))
        each = [by_hand(*pair) for pair in zip(nodes, weights, strict=True)]
        for column, place in (("hessian/re", 0), ("hessian/khn", 1)):
            assert float(found[column][row]) == pytest.approx(sum(e[place] for e in each) / 2, rel=1e-9)
    assert found["hessian/khn"].gt(0).all()


def test_no_negative_node_is_0():
    density = Density(torch.tensor([[0.5, 2.0], [-0.5, 2.0]]), torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    assert density.negativity().tolist() == pytest.approx([0.0, 0.5])
    assert density.ends.tolist() == [0.25, 0.25]


def test_more_steps_than_weights():
    with pytest.raises(ConfigError, match=r"slq=63: H has 62 rows, for the weights that are trained"):
        observed(CurvatureOverTime(slq=W0.shape[1] + 1), CrossEntropy())


def test_beside_is_of_the_density(configure):
    words = ("observe/also=[curvature]", "observe.also.curvature.beside=[test]")
    with pytest.raises(ConfigError, match="beside=test: r_e and K_Hn are of the spectral density; set"):
        validate(configure(*TINY, *words))
