"""The equilibrium of one layer: its implicit gradient, its exact kernel, its limits, and members without one."""

import logging
import math

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.activations import Tanh, scaled
from feature_lazy.networks.implicit import Solver
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.store import Store
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.deep_equilibrium import claim
from feature_lazy.systems.deep_equilibrium.network import DeepEquilibrium
from tests.conftest import QUICK
from tests.systems.reference import planted, reference

D, H, P = 4, 12, 5
SIGMAS = (0.6, 0.9, 1.3)
TINY = (
    *("architecture=deq", "activation=tanh", "activation.scale=critical", "dataset.n_train=20", "dataset.n_test=20"),
    *("width.h=8", "observe.kernel.probe=6", "observe.per_decade=1", "observe.kernel.final=false"),
)


def network(kind="iterate", *, depth=0, h=H, tol=1e-14, **more):
    return DeepEquilibrium(D, h, scaled(Tanh(scale="critical")), SIGMAS, Solver(kind, tol, **more), depth)


def weights(net, members=2):
    return {name: torch.stack([net.init(seed)[name] for seed in range(members)]) for name in net.layout.shapes}


X = torch.randn(P, D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def unrolled(params, x, steps=150):
    """f by layers that are written out: at this width 60 of them are 1e-12 from the last."""
    w_w, w_u, w_v = SIGMAS
    injected = w_u / math.sqrt(D) * x @ params["W0"].mT
    z = torch.zeros_like(injected)
    for _ in range(steps):
        z = w_w / math.sqrt(H) * z.tanh() @ params["W1"].mT + injected
    return (w_v / math.sqrt(H) * z.tanh() @ params["W2"].mT).flatten(1)


@pytest.mark.parametrize("kind", ["iterate", "anderson"])
def test_kernel_is_that_of_unrolled_layers(kind):
    """The shared test holds it to the Jacobian of the network itself."""
    net = network(kind)
    leaves = {name: weight.requires_grad_() for name, weight in weights(net).items()}
    f = unrolled(leaves, X)
    torch.testing.assert_close(net.apply(leaves, X), f, rtol=1e-13, atol=1e-13)
    rows = [torch.autograd.grad(one.sum(), list(leaves.values()), retain_graph=True) for one in f.unbind(1)]
    jacobian = torch.stack([torch.cat([part.flatten(1) for part in row], 1) for row in rows], 1)
    torch.testing.assert_close(tangent_kernel(net, leaves, X), jacobian @ jacobian.mT, rtol=1e-12, atol=1e-12)


def test_second_and_third_derivatives_are_those_of_unrolled_layers():
    """Hessians are of them, and speeds of preactivations."""
    net = network()
    w = net.layout.flatten(weights(net)).requires_grad_()
    v = torch.randn(w.shape, dtype=w.dtype, generator=torch.Generator().manual_seed(4))
    found = []
    for f in (net.apply, unrolled):
        value = f(net.layout.unflatten(w), X).square().sum()
        derivatives = []
        for _ in range(3):
            (gradient,) = torch.autograd.grad(value, w, create_graph=True)
            derivatives.append(gradient)
            value = (gradient * v).sum()
        found.append(derivatives)
    for implicit, explicit in zip(*found, strict=True):
        torch.testing.assert_close(implicit, explicit, rtol=0, atol=1e-11 * float(explicit.detach().abs().max()))


def test_layers_tend_to_the_equilibrium():
    params = weights(network())
    exact, kernel = network().apply(params, X), tangent_kernel(network(), params, X)
    for depth, error in ((8, 1e-2), (40, 1e-8)):
        layers = network(depth=depth)
        assert float((layers.apply(params, X) - exact).norm().detach() / exact.norm().detach()) < error
        assert float((tangent_kernel(layers, params, X) - kernel).norm() / kernel.norm()) < error


def test_limits_are_those_of_a_quadrature():
    known = reference("deep_equilibrium")
    assert known["sigmas"].tolist() == list(SIGMAS)
    for row, depth in enumerate((0, 1, 2)):
        net = DeepEquilibrium(5, 7, scaled(Tanh(scale="critical")), SIGMAS, depth=depth)
        found = net.limit(known["x"])
        torch.testing.assert_close(found.nngp, known["nngp"][row], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found.ntk, known["ntk"][row], rtol=1e-9, atol=1e-9)
        between = net.limit(known["x"][:1], known["x"][1:])
        torch.testing.assert_close(between.ntk, found.ntk[:1, 1:], rtol=1e-9, atol=0)


def test_kernels_go_to_their_limit():
    """By √8 from h = 64 to 512, as h^(−½), ± 20 % by four networks; as 1 or h^(−1) it would be 1 or 8."""
    far = []
    for h in (64, 512):
        net = network(h=h)
        theta, limit = tangent_kernel(net, weights(net, 4), X), net.limit(X).ntk
        far.append(float((theta - limit).square().sum((1, 2)).mean().sqrt() / limit.norm()))
    assert 1.7 < far[0] / far[1] < 4.5


def test_a_pattern_is_not_moved_by_others():
    """A hard one keeps the solver at work; others stay where they were."""
    net = network(tol=1e-6)
    params = weights(net)
    together, alone = net.apply(params, torch.cat([X, 1e-6 * X])), net.apply(params, X)
    torch.testing.assert_close(together[:, :P], alone, rtol=0, atol=1e-15)


def test_a_member_without_an_equilibrium_has_nan_alone():
    net = network(max_iter=200)
    params = weights(net)
    params["W1"][1] *= 4
    f = net.apply(params, X)
    assert f[0].isfinite().all()
    assert f[1].isnan().any()


def ended(configure, tmp_path, *overrides):
    config = configure(*TINY, *QUICK, f"output_dir={tmp_path / 'results'}", *overrides)
    store = Store(config.output_dir)
    runs = [store.load(one).summary for one in train_config(config)]
    return [(run["outcome"], run["t"] > 0) for run in runs]


def test_no_equilibrium_is_an_outcome_of_a_member(configure, tmp_path):
    """So narrow, σ_w = 0.8 asks for 60 to more than 100 steps; with 80 the third of three seeds is there."""
    few = ("architecture.sigma_w=0.8", "architecture.max_iter=80", "seed=ensemble", "seed.members=3")
    none = ("no_equilibrium", False)
    assert ended(configure, tmp_path, *few) == [none, none, ("converged", True)]


def test_no_equilibrium_during_training(configure, tmp_path):
    """At small α weights grow until 80 steps, enough at t = 0, are too few."""
    few = ("architecture.sigma_w=0.8", "architecture.max_iter=80", "alpha.value=0.1")
    assert ended(configure, tmp_path, *few, "seed=ensemble", "seed.first=3", "seed.members=1") == [
        ("no_equilibrium", True)
    ]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("architecture.sigma_w=1", "from 1 on an equilibrium need not be the only one"),
        ("parametrisation=mup", "parametrisation=mup: architecture=deq is known in the ntk parametrisation alone"),
        ("architecture.gradient=unrolled", "architecture.gradient=unrolled: must be implicit"),
    ],
)
def test_refusals(configure, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(configure(*TINY, override))


def test_what_is_not_refused_is_warned_of(configure, caplog):
    caplog.set_level(logging.WARNING)
    build(configure(*TINY, "architecture.sigma_w=0.6"))
    assert "Lipschitz constant of φ is 0.6" in caplog.text
    caplog.clear()
    build(configure(*TINY))
    build(configure(*TINY, "architecture.depth=3", "architecture.sigma_w=2"))
    assert "Lipschitz" not in caplog.text


@pytest.fixture
def of_equilibria(monkeypatch):
    """Tables are taken for those of equilibria."""
    monkeypatch.setattr(claim, "widest_of", lambda table: table["h"].max())
    monkeypatch.setattr(claim, "network_of", lambda table: (network(), X))


@pytest.mark.parametrize(("exponent", "verdict"), [(-0.5, AGREES), (-1.0, DIFFERS), (0.0, DIFFERS)])
def test_planted_deviation(of_equilibria, exponent, verdict):
    for one in (claim.kernel_against_width, claim.covariance_against_width):
        [row] = readings(one, planted((one.needs[0], lambda h, alpha: h**exponent)))
        assert row.estimate
        assert row.verdict == verdict
        assert row.estimate.value == pytest.approx(exponent, abs=0.05)


@pytest.mark.parametrize(("factor", "verdict"), [(0.3, AGREES), (0.5, DIFFERS)])
def test_planted_truncation(of_equilibria, monkeypatch, factor, verdict):
    """σ_w·Lip = 0.6, so a layer has to leave less than 0.36."""
    luck = iter(np.random.default_rng(0).normal(1, 0.02, 100))
    monkeypatch.setattr(claim, "rate", lambda net, x: factor * next(luck))
    [row] = readings(claim.truncation, planted((claim.DEVIATION, lambda h, alpha: 1.0)))
    assert row.estimate
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(factor / 0.36, rel=0.05)


@pytest.mark.parametrize(("exponent", "verdict"), [(0.0, AGREES), (0.5, DIFFERS)])
def test_planted_error_of_layers(of_equilibria, monkeypatch, exponent, verdict):
    luck = np.random.default_rng(0).normal(1, 0.1, claim.SEEDS)
    monkeypatch.setattr(claim, "_deviations", lambda net, x: net.depth**exponent * luck)
    [row] = readings(claim.commuting, planted((claim.DEVIATION, lambda h, alpha: 1.0)))
    assert row.estimate
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.05)


@pytest.mark.parametrize(("exponent", "verdict"), [(-1.0, AGREES), (-0.5, DIFFERS)])
def test_planted_tails(of_equilibria, monkeypatch, exponent, verdict):
    """Variances whose own variance is h^exponent of their mean's square."""
    random = np.random.default_rng(0)

    def variances(net, x):
        return 1 + 0.5 * math.sqrt((net.width / 16) ** exponent) * random.standard_normal((claim.DRAWS, 12))

    monkeypatch.setattr(claim, "_variances", variances)
    [row] = readings(claim.kurtosis_against_width, planted((claim.DEVIATION, lambda h, alpha: 1.0)))
    assert row.estimate
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.05)


def test_other_networks_say_nothing_of_equilibria():
    table = planted((claim.DEVIATION, lambda h, alpha: h**-0.5))
    assert [row for one in (claim.kernel_against_width, claim.commuting) for row in readings(one, table)] == []
