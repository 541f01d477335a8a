"""Kernels of infinite width against quadrature, against wide networks, and against another library."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.kernels import infinite_kernels, jacobian_kernel, limit_kernels, tangent_kernel
from feature_lazy.networks.activations import (
    Erf,
    Gelu,
    LeakyRelu,
    Linear,
    Perturbed,
    Relu,
    Scaled,
    Silu,
    Sine,
    Softplus,
    Tanh,
    erf_dual,
    relu_dual,
    scaled,
    softplus,
)
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.layout import Layout
from feature_lazy.networks.limits import infinite
from feature_lazy.networks.limits.dual import expectations
from feature_lazy.networks.parametrisation import MUP
from tests.conftest import ROOT

SOFTPLUS = scaled(Softplus(5.0))
ACTIVATIONS = {
    "softplus": SOFTPLUS,
    "relu": scaled(Relu()),
    "erf": scaled(Erf()),
    "tanh": scaled(Tanh()),
    "erf as a series": Scaled.normalised(torch.erf),
    "linear": scaled(Linear()),
    "leaky relu": scaled(LeakyRelu(0.2)),
    "gelu": scaled(Gelu()),
    "silu": scaled(Silu()),
    "sine": scaled(Sine(1.5)),
    "critical sine": scaled(Sine(1.5, scale="critical")),
    "perturbed": scaled(Perturbed(0.25)),
}
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def patterns(n, d, seed=0):
    """Patterns of norms between about 0.4 and 1.6 times √d."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, dtype=torch.float64, generator=generator)
    return x * (0.4 + 1.2 * torch.rand(n, 1, dtype=torch.float64, generator=generator))


def panels(cuts, per_piece):
    """Gauss–Legendre nodes and weights on equal panels between cuts."""
    points, weights = np.polynomial.legendre.leggauss(20)
    edges = np.concatenate([np.linspace(a, b, per_piece, endpoint=False) for a, b in pairwise(cuts)])
    edges = np.append(edges, cuts[-1])
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + points)).ravel(), (half * weights).ravel()


def by_quadrature(activation, q1, q2, rho):
    """E φ(u)φ(v) and E φ′(u)φ′(v) in polar coordinates, where u = 0 and v = 0 are lines of constant angle."""
    angle = math.acos(rho)
    cuts = sorted({x % (2 * math.pi) for x in (0, math.pi / 2, -math.pi / 2, angle + math.pi / 2, angle - math.pi / 2)})
    phi, phi_weights = panels([*cuts, 2 * math.pi], 40)
    r, r_weights = panels([0.0, 10.0], 10)
    weights = torch.tensor(np.outer(r_weights * r * np.exp(-(r**2) / 2), phi_weights) / (2 * math.pi))
    u = torch.tensor(math.sqrt(q1) * np.outer(r, np.cos(phi)), requires_grad=True)
    v = torch.tensor(math.sqrt(q2) * np.outer(r, np.cos(phi - angle)), requires_grad=True)
    left, right = activation(u), activation(v)
    slopes = [torch.autograd.grad(g.sum(), z)[0] for g, z in ((left, u), (right, v))]
    return float((weights * left * right).detach().sum()), float((weights * slopes[0] * slopes[1]).sum())


def pairs(activation, q1, q2, rho, tolerance=1e-10):
    """The same by the code under test, and the error that it states."""
    rule = expectations(activation, tolerance)
    marginals = rule.marginals(torch.tensor([q1, q2], dtype=torch.float64))
    values, slopes = rule.joint(
        marginals.of(slice(0, 1)), marginals.of(slice(1, 2)), torch.tensor([[rho]], dtype=torch.float64)
    )
    return float(values), float(slopes), marginals


@every_activation
@pytest.mark.parametrize("q", [(1.0, 1.0), (0.3, 2.5)], ids=str)
@pytest.mark.parametrize("rho", [-1.0, -0.6, 0.0, 0.5, 0.99, 1.0])
def test_expectations_equal_quadrature(name, q, rho):
    values, slopes, marginals = pairs(ACTIVATIONS[name], *q, rho)
    expected = by_quadrature(ACTIVATIONS[name], *q, rho)
    # The stated error, 1e-10 of √(E g(u)² E g(v)²) ≤ 2, and a rounding of the sum over a million nodes.
    assert (values, slopes) == pytest.approx(expected, rel=1e-12, abs=2e-10 + 1e-12)
    moments = [by_quadrature(ACTIVATIONS[name], variance, variance, 1.0)[0] for variance in q]
    assert marginals.moment.tolist() == pytest.approx(moments, rel=2e-12)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-10])
def test_stated_error_is_an_error_bound_and_no_more_terms_are_used_than_it_needs(tolerance):
    # At ρ = 1, where the series is worst, and where its remainder is the error.
    values, slopes, marginals = pairs(SOFTPLUS, 1.0, 1.0, 1.0, tolerance)
    exact = by_quadrature(SOFTPLUS, 1.0, 1.0, 1.0)
    found = max(abs(values - exact[0]) / exact[0], abs(slopes - exact[1]) / exact[1])
    assert 0.99 * marginals.error < found + 1e-12
    assert found < marginals.error + 1e-12
    assert 0.8 * tolerance < marginals.error <= tolerance


def test_softplus_of_the_article_needs_as_many_terms_as_the_documentation_says():
    _, _, marginals = pairs(SOFTPLUS, 1.0, 1.0, 1.0)
    assert marginals.coefficients.shape[1] == 314


def test_a_pattern_without_variance():
    values, slopes, _ = pairs(SOFTPLUS, 0.0, 1.0, 0.0)
    zero = torch.zeros((), dtype=torch.float64)
    # φ(0) E φ(v) and φ′(0) E φ′(v); φ′(0) = a/2 and E φ′ = a/2 by symmetry.
    nodes, weights = panels([-10.0, 0.0, 10.0], 40)
    mean = float((SOFTPLUS(torch.tensor(nodes)) * torch.tensor(weights * np.exp(-(nodes**2) / 2))).sum())
    assert values == pytest.approx(float(SOFTPLUS(zero)) * mean / math.sqrt(2 * math.pi), abs=1e-10)
    assert slopes == pytest.approx(SOFTPLUS.factor**2 / 4, abs=1e-10)
    kernels = infinite_kernels(SOFTPLUS, 2, torch.eye(3, dtype=torch.float64)[:, :2])
    assert kernels.ntk[2, 2] > 0


def table():
    return json.loads((ROOT / "tests" / "data" / "neural_tangents.json").read_text())


SHAPES = {
    "relu": (torch.relu, relu_dual),
    "erf": (torch.erf, erf_dual),
    "gelu": (torch.nn.functional.gelu, None),
    "sin": (torch.sin, Sine(1.0).dual),
    "softplus": (lambda z: softplus(z, table()["beta"]), None),
}


@pytest.mark.parametrize("case", table()["cases"], ids=lambda c: f"{c['activation']}-{c['depth']}-{c['bias']}")
def test_equals_neural_tangents(case):
    shape, dual = SHAPES[case["activation"]]
    x = torch.tensor(table()["patterns"][case["patterns"]], dtype=torch.float64)
    activation = Scaled(shape, case["factor"], dual)
    found = infinite_kernels(activation, case["depth"], x, bias=case["bias"], bias_std=1.0, tolerance=1e-12)
    for name in ("ntk", "nngp"):
        expected = torch.tensor(case[name], dtype=torch.float64)
        # Their softplus, by quadrature, is good to 3e-11; ReLU at ρ = −1 loses 1e-8² … 1e-11 to rounding.
        torch.testing.assert_close(getattr(found, name), expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


def finite_kernels(net, seed, x):
    """Θ of one network, and the covariance x^L·x^L/h that its last layer would give to outputs."""
    params = {name: weight[None] for name, weight in net.init(seed).items()}
    last = net.taps(params, x)[1][-1]
    return torch.stack([tangent_kernel(net, params, x)[0], last.scale**2 * (last.inputs @ last.inputs.mT)[0]])


@pytest.mark.parametrize(("activation", "depth"), [(SOFTPLUS, 3), (scaled(Relu()), 2)], ids=["softplus", "relu"])
def test_wide_networks_come_near_as_one_over_root_width(activation, depth):
    x, widths, n_seeds = patterns(4, 5), (64, 256, 1024), 32
    limit = infinite_kernels(activation, depth, x)
    expected = torch.stack([limit.ntk, limit.nngp])
    errors = []
    for width in widths:
        net = FullyConnected(5, [width] * depth, activation)
        found = torch.stack([finite_kernels(net, seed, x) for seed in range(n_seeds)])
        errors.append((found - expected).square().mean((0, 2, 3)).sqrt())
    # A root mean square of 32 seeds is known to some 12 %, so the slope over a factor of 16 to 0.06.
    slopes = torch.log(errors[-1] / errors[0]) / math.log(widths[-1] / widths[0])
    assert slopes.tolist() == pytest.approx([-0.5, -0.5], abs=0.15)
    # The mean of the widest is off by order 1/h only, a tenth of its standard error.
    z = (found.mean(0) - expected) / (found.std(0) / math.sqrt(n_seeds))
    assert z.abs().max() < 4
    assert found.std(0).max() / math.sqrt(n_seeds) < 0.03 * expected.max()


def test_bias_against_wide_networks():
    """App. J at depth 2, with biases that start at 0, written here: the project's network has none."""
    d, h, b, n_seeds = 3, 400, 0.7, 24
    sizes = [(h, d), (h, h), (1, h)]
    layout = Layout(
        {f"W{i}": size for i, size in enumerate(sizes)} | {f"B{i}": size[:1] for i, size in enumerate(sizes)}
    )

    def network(weights, x):
        for i, (_, fan_in) in enumerate(sizes):
            z = x @ weights[f"W{i}"].T / math.sqrt(fan_in) + b * weights[f"B{i}"]
            x = SOFTPLUS(z)
        return z[:, 0]

    x = patterns(3, d)
    generator = torch.Generator().manual_seed(0)

    def start(name):
        # B starts at 0.
        return (name[0] == "W") * torch.randn(1, *layout.shapes[name], dtype=torch.float64, generator=generator)

    net = Generic(network, layout, (d,))
    found = torch.cat([jacobian_kernel(net, {k: start(k) for k in layout.shapes}, x) for _ in range(n_seeds)])
    expected = infinite_kernels(SOFTPLUS, 2, x, bias=b).ntk
    error = found.std(0) / math.sqrt(n_seeds)
    assert ((found.mean(0) - expected) / error).abs().max() < 4
    # The b² of a single layer would be seen.
    assert b**2 > 20 * error.min()


@every_activation
@pytest.mark.parametrize("block", [1, 7, 2**18])
def test_rows_and_columns_are_parts_of_the_whole(name, block, monkeypatch):
    monkeypatch.setattr(infinite, "BLOCK_ENTRIES", block)
    x = patterns(7, 4)
    whole = infinite_kernels(ACTIVATIONS[name], 2, x, bias=0.1)
    part = infinite_kernels(ACTIVATIONS[name], 2, x[:3], x[3:], bias=0.1)
    for kernel in ("ntk", "nngp"):
        full = getattr(whole, kernel)
        torch.testing.assert_close(getattr(part, kernel), full[:3, 3:], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(full.mT, full, rtol=1e-12, atol=1e-12)
        # Seven patterns in four dimensions: a linear network has no more than four features of them, and its bias.
        assert torch.linalg.eigvalsh(full)[0] > (-1e-13 if name == "linear" else 0)


def test_diagonal_of_relu():
    """On the sphere Σ(x, x) = 1 and Θ(x, x) = L + 1, to rounding."""
    x = torch.nn.functional.normalize(patterns(20, 6)) * math.sqrt(6)
    kernels = infinite_kernels(scaled(Relu()), 4, x)
    torch.testing.assert_close(kernels.ntk.diagonal(), torch.full((20,), 5.0, dtype=torch.float64), rtol=1e-13, atol=0)
    torch.testing.assert_close(kernels.nngp.diagonal(), torch.ones(20, dtype=torch.float64), rtol=1e-13, atol=0)


@every_activation
@pytest.mark.parametrize("depth", [1, 6])
def test_a_pattern_in_both_sets(name, depth):
    """In both, in another order, and twice in one: ReLU's square root at ρ = 1 makes 1e-16 there 1e-8 no more."""
    x = torch.nn.functional.normalize(patterns(20, 6)) * math.sqrt(6)
    expected = infinite_kernels(ACTIVATIONS[name], depth, x).ntk
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    across = infinite_kernels(ACTIVATIONS[name], depth, x, x[order]).ntk
    twice = infinite_kernels(ACTIVATIONS[name], depth, torch.cat([x, x])).ntk
    for found in (across[:, order.argsort()], twice[:20, 20:], twice[20:, 20:]):
        # Rounding: 2e-16·L of the largest entry as measured.
        assert (found - expected).abs().max() < 1e-14 * depth * expected.max()


def test_refusals_say_what_is_wrong():
    x = patterns(3, 2)
    with pytest.raises(NumericalError, match=r"more than 4096 Hermite terms .* kink"):
        infinite_kernels(Scaled.normalised(torch.relu), 1, x)
    with pytest.raises(NumericalError, match="not finite"):
        infinite_kernels(scaled(Relu()), 1, 1e200 * x)
    with pytest.raises(ValueError, match="finite"):
        infinite_kernels(SOFTPLUS, 1, x / 0)
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(3, 1\)"):
        infinite_kernels(SOFTPLUS, 1, x, x[:, :1])
    with pytest.raises(ValueError, match="depth = 0"):
        infinite_kernels(SOFTPLUS, 0, x)


def test_a_network_is_asked_for_its_own_limit():
    x = patterns(3, 2)
    found = limit_kernels(FullyConnected(2, [7, 5], SOFTPLUS, bias=0.3, bias_std=0.5), x, x[:2])
    expected = infinite_kernels(SOFTPLUS, 2, x, x[:2], bias=0.3, bias_std=0.5)
    assert torch.equal(found.ntk, expected.ntk)
    assert torch.equal(found.nngp, expected.nngp)
    unknown = Generic(lambda weights, x: x @ weights["w"], Layout({"w": (2,)}), (2,))
    with pytest.raises(ConfigError, match=r"Generic: the network's limit is not known; use tangent_kernel"):
        limit_kernels(unknown, x)
    with pytest.raises(ConfigError, match=r"not ntk, so that kernels do not tend to Θ∞"):
        limit_kernels(FullyConnected(2, [7], SOFTPLUS, parametrisation=MUP), x)
    with pytest.raises(NumericalError, match="the authors' bias"):
        limit_kernels(FullyConnected(2, [7], SOFTPLUS, bias=0.1, authors_output_bias=True), x)
