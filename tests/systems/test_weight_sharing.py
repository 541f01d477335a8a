"""Networks that use a weight at many places: kernels, limits, independence of gradients, the laws, what is refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.kernels import jacobian_kernel, limit_kernels, tangent_kernel
from feature_lazy.networks.activations import Erf, Relu, Scaled, scaled
from feature_lazy.networks.attention import Attention
from feature_lazy.networks.base import HasLimit
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.limits import fields
from feature_lazy.networks.limits.limit import output_covariance
from feature_lazy.networks.sequences import Tokens
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.limit_laws import KERNEL
from feature_lazy.study.verdict import AGREES, DIFFERS
from feature_lazy.systems.weight_sharing import claim
from feature_lazy.systems.weight_sharing.rnn import Recurrent
from tests.arrays import normal
from tests.conftest import TINY
from tests.systems.reference import planted, reference

TOKENS, ERF = Tokens(5, 4), scaled(Erf())
SIGMAS = (1.2, 0.9, 0.8, 0.3)
NETWORKS = {
    "last": lambda n: Recurrent(TOKENS, n, ERF, SIGMAS),
    "mean": lambda n: Recurrent(TOKENS, n, ERF, SIGMAS, mean=True),
    "softmax": lambda n: Attention(TOKENS, n, scaled(Relu()), depth=2),
    "gaussian": lambda n: Attention(TOKENS, n, ERF, map="gaussian", layernorm=False),
}
every = pytest.mark.parametrize("name", NETWORKS)


def begun(net, *seeds):
    return {name: torch.stack([net.init(seed)[name] for seed in seeds]) for name in net.layout.shapes}


@every
@pytest.mark.parametrize("outputs", [1, 2])
def test_kernel_of_layers_is_that_of_gradients(name, outputs):
    net = replace(NETWORKS[name](30), n_outputs=outputs)
    params, x = begun(net, 0, 1), normal(4, 20)
    exact, jacobian = (kernel(net, params, x) for kernel in (tangent_kernel, jacobian_kernel))
    torch.testing.assert_close(exact, jacobian, rtol=0, atol=1e-13 * float(jacobian.abs().max()))


def test_outputs_and_limits_were_written_out():
    known = reference("weight_sharing")
    tokens, sigmas = Tokens(4, 2), tuple(known["sigmas"].tolist())
    net = Recurrent(tokens, 5, ERF, sigmas)
    params = {name: known[name][None] for name in net.layout.shapes}
    assert net.apply(params, known["x"])[0].tolist() == pytest.approx(known["f"].tolist(), rel=1e-13)
    cases = [
        (Recurrent(tokens, 5, ERF, sigmas, mean=one == "mean"), known["recurrent"][one]) for one in ("last", "mean")
    ]
    for network, expected in [*cases, (Attention(tokens, 5, ERF, depth=2), known["attention"])]:
        found = limit_kernels(network, known["x"])
        for kernel in ("ntk", "nngp"):
            wanted = torch.tensor(expected[kernel], dtype=torch.float64)
            torch.testing.assert_close(getattr(found, kernel), wanted, rtol=1e-12, atol=1e-13)


@every
def test_the_mean_over_seeds_is_the_limit(name):
    net, x, seeds = NETWORKS[name](128), normal(3, 20), 20
    limit = limit_kernels(net, x)
    params = begun(net, *range(seeds))
    for found, expected in (
        (tangent_kernel(net, params, x), limit.ntk),
        (output_covariance(net, params, x), limit.nngp),
    ):
        error = found.std(0) / math.sqrt(seeds)
        # What is of order 1/n in the mean is some percent of the fluctuations' n^{−½}, and within their error.
        assert ((found.mean(0) - expected) / error).abs().max() < 4.5
        assert error.max() < 0.1 * expected.max()


@every
def test_rows_and_columns_are_parts_of_the_whole(name, monkeypatch):
    net, x = NETWORKS[name](2), normal(4, 20)
    x[3] = x[0]
    whole = limit_kernels(net, x)
    monkeypatch.setattr(fields, "BLOCK_ENTRIES", 1)
    for part, rows in ((limit_kernels(net, x), slice(0, 4)), (limit_kernels(net, x[:1], x), slice(0, 1))):
        for kernel in ("ntk", "nngp"):
            torch.testing.assert_close(getattr(part, kernel), getattr(whole, kernel)[rows], rtol=1e-12, atol=1e-13)
            assert getattr(whole, kernel)[0, 3] == pytest.approx(float(getattr(whole, kernel)[0, 0]), rel=1e-12)


@every
def test_a_series_is_as_good_as_a_closed_form(name):
    """Variances differ from time to time, and a series has as many terms at all of them."""
    net, x = replace(NETWORKS[name](2), activation=ERF), normal(2, 20)
    found, expected = (limit_kernels(one, x) for one in (replace(net, activation=Scaled.normalised(torch.erf)), net))
    assert found.error < 1e-10
    torch.testing.assert_close(found.ntk, expected.ntk, rtol=1e-9, atol=0)


@pytest.mark.parametrize("mean", [False, True])
def test_one_token_is_one_hidden_layer(mean):
    net, x = Recurrent(Tokens(1, 6), 9, ERF, mean=mean), normal(4, 6)
    other, params = FullyConnected(6, [9], ERF), begun(net, 0)
    names = {"W0": params["W0"], "W1": params["W2"]}
    torch.testing.assert_close(net.apply(params, x), other.apply(names, x), rtol=1e-13, atol=1e-14)
    theta, expected = tangent_kernel(net, params, x), tangent_kernel(other, names, x)
    torch.testing.assert_close(theta, expected, rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(net.limit(x).ntk, other.limit(x).ntk, rtol=1e-13, atol=1e-14)


def test_gradients_meet_independent_weights_where_the_readout_has_mean_zero():
    """And not with the mean of units: for φ = z²/2 and two tokens of |x|² = d the ratio is 22/7 as n → ∞.

    Then ∂f/∂h₁ = h₁ ⊙ Wᵀ(Ws₁/√n + Ux₂/√d)/√n over n. Of WᵀWs₁/n a part is s₁ = h₁²/2 itself, with E h⁶/4 = 15/4; the
    rest, as all of it with another Wᵀ, is independent of h₁, of variance E s² = 3/4; Ux₂/√d has 1.
    """
    phi = Scaled(lambda z: z.square() / 2, 1.0)
    x = normal(4, 2, 4)
    net, x = Recurrent(Tokens(2, 4), 200, phi), (2 * x / x.norm(dim=2, keepdim=True)).flatten(1)
    # The readout of units: all weights 1/√n, which makes f their mean.
    ones = {"W2": torch.full((1, 1, 200), 200**-0.5, dtype=torch.float64)}
    for own, expected in (({}, 1.0), (ones, 22 / 7)):
        pairs = []
        for seed in range(40):
            params, other = ({**begun(net, one), **own} for one in (seed, seed + claim.OTHERS))
            pairs.append([float(claim.signal(net, params, x, back).square().sum()) for back in (params, other)])
        true, independent = np.mean(pairs, 0)
        # 40 networks of n = 200: some percent, and what is of order 1/n.
        assert true / independent == pytest.approx(expected, rel=0.15)


def test_signals_are_those_of_the_network():
    net, x = NETWORKS["last"](7), normal(3, 20)
    params = begun(net, 0)
    with torch.enable_grad():
        f, taps = net.taps({name: weight.requires_grad_() for name, weight in params.items()}, x)
        [expected] = torch.autograd.grad(f.sum(), taps[0].added[0])
    params = {name: weight.detach() for name, weight in params.items()}
    torch.testing.assert_close(claim.signal(net, params, x, params), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("exponent", "verdict"), [(-0.5, AGREES), (-1.0, DIFFERS), (0.0, DIFFERS)])
def test_planted_deviation(exponent, verdict, monkeypatch):
    table = planted((KERNEL, lambda h, alpha: h**exponent))
    for kind, readout, law in (
        ("rnn", "last", claim.last_against_width),
        ("rnn", "mean", claim.mean_against_width),
        ("attention", None, claim.attention_against_width),
    ):
        assert readings(law, table) == []
        monkeypatch.setattr(claim, "_is", lambda _, *is_: is_ in ((kind, readout), (kind,)))  # noqa: B023
        [row] = readings(law, table)
        assert row.verdict == verdict
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("architecture=rnn architecture.readout=units", "must be last or mean, .* gradients are not independent of"),
        ("architecture=rnn architecture.tokens=7", "architecture.tokens=7: patterns of 64 numbers are not cut"),
        (
            "architecture=attention parametrisation=mup",
            "architecture=attention is known in the ntk parametrisation alone",
        ),
        (
            "architecture=attention architecture.scale=sqrt observe/also=[limit]",
            "scores over √n .* use architecture.scale=n",
        ),
    ],
)
def test_refusals(configure, override, sentence):
    job = [one for one in TINY if not one.startswith("architecture")]
    with pytest.raises(ConfigError, match=sentence):
        validate(configure(*job, *override.split()))


def test_scores_over_the_root_have_no_limit():
    net = replace(NETWORKS["softmax"](4), over_n=False)
    assert isinstance(net, HasLimit)
    with pytest.raises(NumericalError, match="stays random"):
        limit_kernels(net, normal(2, 20))
