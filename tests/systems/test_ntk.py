"""The kernel of a network beside its limit: the observable, the laws, and what is refused."""

import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.losses import CrossEntropy, Mse
from feature_lazy.kernels import tangent_kernel
from feature_lazy.measure.observer import Observer
from feature_lazy.measure.quantities.limit import Limit
from feature_lazy.networks.activations import Erf, Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.limits.infinite import infinite_kernels
from feature_lazy.networks.limits.limit import output_covariance
from feature_lazy.networks.own_activation import CustomActivation
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.limit_laws import COVARIANCE, covariance_against_width
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.ntk.claim import (
    CHANGE,
    DEVIATION,
    SMALLEST,
    change_against_width,
    deviation_against_width,
    positive,
    rates,
)
from tests.arrays import normal
from tests.conftest import TINY
from tests.measure.observing import columns, moment, setting
from tests.systems.reference import planted, reference

JOB = (*TINY, "observe/also=[limit]", "observe.also.limit.probe=10")


def observed(net, x, w, loss, y):
    stays = setting(net, Dataset(x, y, x, y), loss, alpha=torch.ones(1).double(), w0=w, n_test=len(x))
    return columns(Observer(stays, [], {"limit": Limit(probe=len(x))}).observe(moment(stays, torch.tensor([0]), w)))


def test_equals_a_kernel_and_a_limit_that_were_written_out():
    known = reference("ntk")
    net = FullyConnected(3, [known["h"]], scaled(Erf()))
    y = torch.tensor([1.0, -1, 1, -1], dtype=torch.float64)
    torch.testing.assert_close(net.limit(known["x"]).ntk, known["limit"], rtol=1e-12, atol=1e-12)
    found = observed(net, known["x"], known["weights"][None], Mse(), y)
    assert float(found[DEVIATION]) == pytest.approx(known["deviation"], rel=1e-12)


def test_outputs_of_one_network_share_no_limit():
    """Of C outputs Θ∞ is Θ∞ ⊗ 1, so a network whose C are alike and apart is as far from it as one of them."""
    known = reference("ntk")
    x, h = known["x"], 2000
    net = FullyConnected(3, [h], scaled(Erf()), n_outputs=2)
    w = net.layout.flatten({name: weight[None] for name, weight in net.init(0).items()})
    found = float(observed(net, x, w, CrossEntropy(), torch.tensor([0, 1, 0, 1]))[DEVIATION])
    theta = tangent_kernel(net, net.layout.unflatten(w), x)[0].reshape(4, 2, 4, 2)
    apart = theta[:, 0, :, 1].square().sum() * 2 + sum(
        (theta[:, c, :, c] - known["limit"]).square().sum() for c in (0, 1)
    )
    assert found == pytest.approx(float(apart.sqrt() / (2 * known["limit"].square().sum()).sqrt()), rel=1e-12)
    assert found < 0.1  # h^(−½) = 0.022, times a number of order 1


def test_covariance_of_outputs_is_that_over_last_weights():
    """Of a network with biases: from outputs of many last layers, and against the limit; in chunks as at once."""
    net = FullyConnected(3, [40, 40], scaled(Erf()), bias=0.7, bias_std=0.9, n_outputs=4000)
    params = {name: weight[None] for name, weight in net.init(0).items()}
    x = reference("ntk")["x"]
    f = net.apply(params, x)[0].reshape(4, 4000)
    found = output_covariance(net, params, x)[0]
    # A mean over 4000 outputs of a product of Gaussians, which is known to √(2/4000) of its size.
    assert (found - f @ f.mT / 4000).abs().max() < 5 * math.sqrt(2 / 4000) * found.diagonal().max()
    torch.testing.assert_close(output_covariance(net, params, x, 1.0)[0], found, rtol=1e-12, atol=0)
    net, y = FullyConnected(3, [40], scaled(Erf()), bias=0.7, bias_std=0.9), torch.tensor([1.0, -1, 1, -1]).double()
    w = net.layout.flatten({name: weight[None] for name, weight in net.init(0).items()})
    limit = net.limit(x).nngp
    expected = (output_covariance(net, net.layout.unflatten(w), x)[0] - limit).norm() / limit.norm()
    assert float(observed(net, x, w, Mse(), y)[COVARIANCE]) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("parametrisation=mup", "with parametrisation=mup kernels do not tend to Θ∞; use ntk"),
        ("observe.also.limit.probe=21", "observe.also.limit.probe=21: must be at most dataset.n_test=20"),
        (
            "architecture=wide_resnet",
            "architecture=wide_resnet: the first convolution has 16 channels at every width, so",
        ),
        ("architecture.authors_output_bias=true", "the authors' bias of the output makes the kernel grow with h; use"),
    ],
)
def test_refusals(tiny, configure, override, sentence):
    job = [one for one in JOB if not (override == "architecture=wide_resnet" and one.startswith("architecture"))]
    job += ["architecture.bias=0.1"] if "bias" in override else []
    with pytest.raises(ConfigError, match=sentence):
        validate(configure(*job, override))


@pytest.mark.parametrize(("exponent", "verdict"), [(-0.5, AGREES), (-1.0, DIFFERS), (0.0, DIFFERS)])
def test_planted_deviation(exponent, verdict):
    """Of the kernel, and in other networks of the covariance of outputs."""
    for law, column in ((deviation_against_width, DEVIATION), (covariance_against_width, COVARIANCE)):
        [row] = readings(law, planted((column, lambda h, alpha: h**exponent)))
        assert row.verdict == verdict
        assert row.estimate.value == pytest.approx(exponent, abs=0.05)


@pytest.mark.parametrize(("exponent", "verdict"), [(-1.0, AGREES), (-0.5, DIFFERS)])
def test_planted_change_counts_lazy_runs_alone(exponent, verdict):
    """At α = 0.1 the planted change is of order 1 and does not fall: it must not count."""
    change = (CHANGE, lambda h, alpha: 3.0 if alpha < 1 else (h / 64) ** exponent / alpha)
    table = planted(change, (DEVIATION, lambda h, alpha: h**-0.5), alphas=(0.1, 10.0, 100.0))
    [row] = readings(change_against_width, table)
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.05)


def test_no_lazy_run_is_no_verdict():
    table = planted((CHANGE, lambda h, alpha: 3.0), (DEVIATION, lambda h, alpha: h**-0.5))
    [row] = readings(change_against_width, table)
    assert row.verdict == CANNOT_TELL
    assert "the narrowest's is below 0.1" in row.measured


def modes(off, *, change=0.001, seeds=5):
    """Runs with two components, whose rates are λ/P times 1 + off; of the second nothing is known."""
    table = planted((CHANGE, lambda h, alpha: change), ("component/rate_1", lambda h, alpha: 1.0), seeds=seeds)
    known = 0.3 * (1 + off) * (1 + 1e-3 * (table["seed"] - 2))
    return table.assign(
        **{"P": 20, "component/rate_1": known, "component/eigenvalue_1": 6.0},
        **{"component/rate_2": float("nan"), "component/eigenvalue_2": 1.0},
    )


@pytest.mark.parametrize(("off", "verdict"), [(0.0, AGREES), (0.02, AGREES), (-0.1, DIFFERS), (0.1, DIFFERS)])
def test_planted_rates(off, verdict):
    [row] = readings(rates, modes(off))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(1 + off, abs=0.003)


def test_rates_of_a_kernel_that_moves_do_not_count():
    [row] = readings(rates, modes(0.0, change=0.02))
    assert "changes by less than 0.01" in row.measured


def test_a_kernel_of_polynomials_has_a_rank_and_others_none():
    """On the sphere in d = 3 the kernels of φ = z² and one hidden layer are of the six monomials of degree 2."""
    x = torch.nn.functional.normalize(normal(40, 3, seed=0), dim=1) * 3**0.5
    c = x @ x.mT / 3
    # E u²v² = 1 + 2c² and E 2u·2v = 4c, over E z⁴ = 3.
    by_hand = (1 + 2 * c**2 + 4 * c**2) / 3
    square = scaled(CustomActivation(target="torch.square"))
    found = infinite_kernels(square, 1, x).ntk
    torch.testing.assert_close(found, by_hand, rtol=1e-8, atol=1e-8)
    eigenvalues = torch.linalg.eigvalsh(found)
    assert int((eigenvalues > 1e-7 * eigenvalues[-1]).sum()) == 6
    for phi, verdict in ((square, CANNOT_TELL), (scaled(Tanh()), AGREES)):
        net, y = FullyConnected(3, [4], phi), x[:, 0].sign()
        w = net.layout.flatten({name: weight[None] for name, weight in net.init(0).items()})
        stays = setting(net, Dataset(x, y, x, y), Mse(), alpha=torch.ones(1).double(), w0=w, n_test=40)
        ends, _ = Observer(stays, [], {"limit": Limit(probe=40)}).end(moment(stays, torch.tensor([0]), w))
        [row] = readings(positive, planted((SMALLEST, lambda h, alpha: 1.0)).assign(**{SMALLEST: ends[SMALLEST]}))
        assert row.verdict == verdict
