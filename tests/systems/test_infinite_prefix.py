"""Attention with a trained prefix, and with sums in its place: f, its kernel, features, the laws, what is refused."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.sequences import Tokens
from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.table import with_runs
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.infinite_prefix import claim
from feature_lazy.systems.infinite_prefix.features import count, features
from feature_lazy.systems.infinite_prefix.network import NtkAttention, Prefix, Stylised
from tests.arrays import normal
from tests.conftest import QUICK, composed
from tests.systems.reference import planted, reference

TOKENS = Tokens(3, 4)
NETWORKS = {
    "stylised": Stylised(Tokens(1, 12), 6, 1.5, 2),
    "tokens": Prefix(TOKENS, 6, 1.5, 2),
    "elu": NtkAttention(TOKENS, 6, 1.5, 2),
    "monomials": NtkAttention(TOKENS, 6, 1.5, 2, degree=2),
}
every = pytest.mark.parametrize("net", NETWORKS.values(), ids=list(NETWORKS))
JOB = ("architecture=prefix", "dataset=digits", "dataset.n_train=8", "dataset.n_test=8", "width.h=4")


def begun(net, *seeds):
    return {name: torch.stack([net.init(seed)[name] for seed in seeds]) for name in net.layout.shapes}


def known_weights(known, net):
    return {name: known[name][None] for name in net.layout.shapes}


def test_outputs_and_kernel_of_the_stylised_form_were_written_out():
    known = reference("infinite_prefix")
    net = Stylised(Tokens(1, 3), 5, float(known["temperature"]), 2)
    params = known_weights(known, net)
    torch.testing.assert_close(net.apply(params, known["x"])[0], known["f"], rtol=1e-12, atol=1e-14)
    theta = known["jacobian"] @ known["jacobian"].mT
    torch.testing.assert_close(tangent_kernel(net, params, known["x"])[0], theta, rtol=1e-12, atol=1e-13)


def test_long_prefixes_have_the_kernel_of_the_limit_on_average():
    """Few of the vectors count for these patterns: the spread over prefixes says how near their mean must be."""
    known = reference("infinite_prefix")
    net = Stylised(Tokens(1, 3), 10_000, float(known["temperature"]), 2)
    params = begun(net, *range(16))
    theta = tangent_kernel(net, params | {"R": known["R"].expand(16, -1, -1)}, known["x"])
    error = float((theta.var(0).sum() / 16).sqrt())
    assert error < 0.05 * float(known["limit"].norm())
    assert float((theta.mean(0) - known["limit"]).norm()) < 2 * error


def test_outputs_over_tokens_and_of_sums_were_written_out():
    known = reference("infinite_prefix")
    common = (Tokens(2, 3), 5, float(known["temperature"]), 2)
    prefix = Prefix(*common)
    params, x = known_weights(known, prefix), known["sequences"]
    torch.testing.assert_close(prefix.apply(params, x)[0], known["tokens"], rtol=1e-12, atol=1e-14)
    for degree, name in ((0, "elu"), (2, "quadratic")):
        ntk = NtkAttention(*common, degree=degree)
        found = ntk.apply(ntk.sums(params), x)[0]
        torch.testing.assert_close(found, known[name], rtol=1e-12, atol=1e-14)


@every
def test_members_together_are_each_alone(net):
    params, x = begun(net, 3, 4), normal(2, 5, 12)
    together, shared = net.apply(params, x), net.apply(params, x[0])
    assert together.shape == (2, 10)
    for member in range(2):
        own = {name: weight[member : member + 1] for name, weight in params.items()}
        torch.testing.assert_close(together[member], net.apply(own, x[member])[0], rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(shared[member], net.apply(own, x[0])[0], rtol=1e-12, atol=1e-13)


@every
def test_what_is_frozen_stays_and_the_rest_is_moved(net):
    params = {name: weight.requires_grad_() for name, weight in begun(net, 0).items()}
    w = net.layout.flatten(params).detach().requires_grad_()
    net.apply(net.layout.unflatten(w), normal(5, 12)).square().sum().backward()
    assert w.grad is not None
    moved = {name for name, grad in net.layout.unflatten(w.grad).items() if bool(grad.any())}
    assert moved == {*net.layout.trained} == {*net.layout.shapes} - {*"QKVR"}


@every
def test_scores_that_are_large_do_not_overflow(net):
    """Queries and keys of a thousand times √d."""
    params = {name: weight.requires_grad_() for name, weight in begun(net, 0).items()}
    f = net.apply(params, 1e3 * normal(5, 12))
    assert bool(f.isfinite().all())
    assert bool(torch.autograd.grad(f.sum(), params["W0"])[0].isfinite().all())


def test_only_the_size_of_k_counts_with_elu():
    net = NETWORKS["elu"]
    params, x = begun(net, 0), normal(5, 12)
    torch.testing.assert_close(net.apply(params | {"W1": -params["W1"]}, x), net.apply(params, x))


@pytest.mark.parametrize("degree", [1, 4, 6])
def test_monomials_make_the_series_of_the_exponential(degree):
    q, k = normal(3, 4), normal(5, 4, seed=1)
    products = q @ k.mT
    expected = torch.stack([products**j / math.factorial(j) for j in range(degree + 1)]).sum(0)
    made = features(q, degree)
    assert made.shape == (3, count(4, degree))
    torch.testing.assert_close(made @ features(k, degree).mT, expected, rtol=1e-12, atol=1e-13)


def test_sums_of_more_monomials_are_nearer_to_the_prefix():
    net = Prefix(TOKENS, 6, 2.0)
    params, x = begun(net, 0), normal(5, 12)
    found = [claim.error(net, params, x, degree) for degree in (2, 4, 8)]
    assert found[0] > 4 * found[1] > 16 * found[2]


@dataclass(frozen=True)
class Learnt(Prefix):
    """A prefix whose attention is that of some other sums, and has noise on it."""

    noise: float = 0.0

    def attend(self, params, x):
        ntk = claim.like(self, NtkAttention)
        exact = ntk.attend(params | {name: begun(ntk, 7)[name] for name in ("W0", "W1")}, x)
        return exact + self.noise * normal(*exact.shape)


def test_sums_are_fit_until_they_miss_nothing():
    """What another Z and k make is found; of noise as large as the prefix's effect, nearly all is missed."""
    x, learnt = normal(60, 12), Learnt(TOKENS, 6, 2.0)
    params = begun(learnt, 0)
    assert claim.missed(learnt, params, x, normal(20, 12, seed=1)) < 1e-6
    assert claim.missed(Learnt(TOKENS, 6, 2.0, noise=1.0), params, x, normal(20, 12, seed=1)) > 0.3


def test_of_stored_runs_the_weights_at_the_end_are_taken(tmp_path):
    quick = ("dynamics.t_end=0.1", "observe.weights=ends", "observe.kernel.probe=0", *QUICK)
    members = ("seed=ensemble", "seed.members=2", "architecture.form=tokens", f"output_dir={tmp_path}")
    config = composed(*JOB, *members, *quick)
    train_config(config)
    table = with_runs(load_sweep(tmp_path))
    net = build(config).architecture

    def away(net_, params, train, test):
        assert (type(net_), train.shape, test.shape) == (Prefix, (8, 64), (8, 64))
        assert any(torch.equal(params["Q"][0], net.init(seed)["Q"].to(params["Q"])) for seed in (0, 1))
        return min(float((params["W0"] - net.init(seed)["W0"]).norm()) for seed in (0, 1))

    found = claim._of_runs(table, 4, away)
    assert found is not None
    expected = table["weights/W0/change"] * [np.linalg.norm(net.init(int(seed))["W0"]) for seed in table["seed"]]
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert claim._form(table) == "tokens"


@pytest.mark.parametrize(("good", "verdict"), [(True, AGREES), (False, DIFFERS)])
def test_planted_claims(good, verdict, monkeypatch):
    away = -0.5 if good else -0.3
    runs = planted((claim.WEIGHTS, lambda h, alpha: h**away), (claim.KERNEL, lambda h, alpha: h ** (2 * away + 0.8)))
    monkeypatch.setattr(claim, "_form", lambda table: "stylised")
    for law in (claim.weights, claim.kernel):
        [row] = readings(law, runs)
        assert row.verdict == verdict, law.name
    assert readings(claim.series, runs) == readings(claim.approximate, runs) == []
    monkeypatch.setattr(claim, "_form", lambda table: "tokens")
    rate = -0.2 if good else 0.2
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.95])
    monkeypatch.setattr(claim, "_of_runs", lambda table, m, measure: values * m**rate / 10)
    for law in (claim.series, claim.approximate):
        [row] = readings(law, runs)
        assert row.verdict == verdict, law.name
    assert readings(claim.weights, runs) == readings(claim.kernel, runs) == []


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("parametrisation=mup", "architecture=prefix is scaled as ntk alone"),
        ("architecture.tokens=4", "architecture.tokens=4: architecture.form=stylised has none"),
        ("architecture.degree=2", "architecture.degree=2: architecture.form=stylised has none"),
        ("architecture.form=tokens architecture.degree=2", "architecture.degree=2: architecture.form=tokens has none"),
        ("architecture.form=tokens architecture.tokens=7", "architecture.tokens=7: patterns of 64 numbers are not cut"),
        ("architecture.form=ntk architecture.degree=3", "is below 0 somewhere if it ends on an odd degree"),
        ("architecture.form=ntk architecture.degree=12", "a token of 8 numbers has 125970 monomials"),
        ("dynamics.train=[Q] architecture.form=tokens", "Q stays; it is not trained"),
    ],
)
def test_refusals(override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        build(validated(composed(*JOB, *override.split())))


def validated(config):
    validate(config)
    return config
