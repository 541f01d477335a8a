"""Activations: scaled to E φ² = 1, smooth where they should be."""

import math

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.networks.activations import (
    Erf,
    Gelu,
    LeakyRelu,
    Linear,
    Perturbed,
    Relu,
    Silu,
    Sine,
    Softplus,
    Tanh,
    largest_slope,
    scaled,
    second_moment,
    softplus,
)
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.own_activation import CustomActivation
from feature_lazy.networks.parametrisation import MUP, NTK, STANDARD
from feature_lazy.settings.checks import validate
from feature_lazy.settings.overrides import composed

ACTIVATIONS = {
    "softplus": scaled(Softplus(5.0)),
    "steep softplus": scaled(Softplus(50.0)),
    "relu": scaled(Relu()),
    "tanh": scaled(Tanh()),
    "erf": scaled(Erf()),
    "linear": scaled(Linear()),
    "leaky relu": scaled(LeakyRelu(0.2)),
    "gelu": scaled(Gelu()),
    "silu": scaled(Silu()),
    "sine": scaled(Sine(1.5)),
    "fast sine": scaled(Sine(30.0)),
    "perturbed": scaled(Perturbed(0.7)),
}
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def test_factor_of_the_article():
    # 1/√∫ sp₅(z)² N(z) dz, by quadrature in extended precision.
    assert scaled(Softplus(5.0)).factor == pytest.approx(1.40438334763187249, rel=1e-13)


def test_factor_of_relu():
    assert scaled(Relu()).factor == pytest.approx(math.sqrt(2), rel=1e-13)


@pytest.mark.parametrize("made", [Softplus, Relu, Tanh, Erf, Linear, Gelu, Silu])
def test_moments_that_are_written_down_are_those_of_quadrature(made):
    """To its last digits: stored runs were scaled by it. 1e-15 is for other machines' exponentials."""
    assert made().moment == pytest.approx(second_moment(made().shape), rel=1e-15, abs=0)


def test_softplus_of_another_beta_is_scaled_by_quadrature():
    assert Softplus(4.0).moment is None


@every_activation
def test_second_moment_is_one(name):
    # Trapezoidal rule: exponentially accurate for functions that are analytic in a strip of half width a, error
    # e^{-2πa/step}; the narrowest has a = π/50, so step 1/500 leaves nothing. The kink of ReLU² lies on a node and
    # all its odd derivatives vanish there, which is as good.
    z = torch.linspace(-12, 12, 12_001, dtype=torch.float64)
    weight = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    assert float(ACTIVATIONS[name](z) ** 2 @ weight) == pytest.approx(1, abs=1e-12)


@every_activation
def test_gradient_is_that_of_the_function(name):
    # 201 points, none at the kink of ReLU; the steep ones need a finer step than gradcheck's default of 1e-6.
    z = torch.linspace(-3, 3, 202, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(ACTIVATIONS[name], (z,), eps=1e-7, atol=1e-6)


@pytest.mark.parametrize("beta", [5.0, 20.0])
@pytest.mark.parametrize("switch", [20.0, 40.0])
def test_softplus_does_not_jump(beta, switch):
    """PyTorch's own threshold, βz = 20, makes it jump by e^{-20}/β; ours, 40, is below rounding."""
    z = switch / beta * (1 + torch.linspace(-1e-3, 1e-3, 1001, dtype=torch.float64))
    exact = np.logaddexp(0, beta * z.numpy()) / beta
    # A few roundings of numbers near switch/β: 1e-15, against a jump of 1e-10.
    np.testing.assert_allclose(softplus(z, beta), exact, rtol=2e-15)


@pytest.mark.parametrize(
    ("option", "by_hand"),
    [
        (Linear(), lambda z: z),
        (LeakyRelu(0.1), lambda z: 0.1 * z if z < 0 else z),
        (Gelu(), lambda z: 0.5 * z * (1 + math.erf(z / math.sqrt(2)))),
        (Silu(), lambda z: z / (1 + math.exp(-z))),
        (Sine(2.0), lambda z: math.sin(2 * z)),
    ],
    ids=lambda one: getattr(one, "kind", ""),
)
def test_function_of_the_name(option, by_hand):
    z = torch.tensor([-1.5, 0.3, 2.0], dtype=torch.float64)
    np.testing.assert_allclose(option.shape(z), [by_hand(value) for value in z.tolist()], rtol=1e-14)


@every_activation
def test_lipschitz_constant_is_the_largest_slope(name):
    phi = ACTIVATIONS[name]
    # A maximum inside falls as φ‴δ²/2 to the next node, δ = 5e-4; all here are below 1e-6 of it.
    assert phi.lipschitz == pytest.approx(phi.factor * largest_slope(phi.shape), rel=1e-6)


def test_lipschitz_constant_of_what_declares_none():
    assert scaled(CustomActivation(target="torch.sin", scale="none")).lipschitz == pytest.approx(1, rel=1e-7)
    assert scaled(CustomActivation(target="torch.square", scale="none")).lipschitz == math.inf


@pytest.mark.parametrize(
    ("option", "perpendicular", "parallel"),
    [
        (Softplus(5.0), 0.838, 0.980),
        (Relu(), 1, 1),
        (LeakyRelu(0.3), 1, 1),
        (Linear(), 1, 1),
        (Tanh(), 1.178, 0.461),
        (Erf(), 1.226, 0.409),
        (Sine(1.0), 1.313, 0.313),
        (Gelu(), 1.072, 1.144),
        (Silu(), 1.067, 1.173),
    ],
    ids=lambda one: getattr(one, "kind", ""),
)
def test_what_depth_does_at_the_default_scale(option, perpendicular, parallel):
    """Values of an independent quadrature, to the digits that docs/depth.md has."""
    phi = scaled(option)
    assert phi.squared_slope == pytest.approx(perpendicular, abs=6e-4)
    up, down = (phi.moments(q)[0] for q in (1.001, 0.999))
    # χ_∥ = dE φ²/dK; the central difference is off by 1e-6 of a third derivative of O(1).
    assert (up - down) / 0.002 == pytest.approx(parallel, abs=6e-4)


def susceptibilities(option, variance):
    """χ_∥, χ_⊥ and the next layer's variance at a variance K, by their definitions (arXiv:2106.10165, chapter 5)."""
    critical = option.critical
    z = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    weight = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    u = (math.sqrt(variance) * z).requires_grad_()
    (slope,) = torch.autograd.grad(option.shape(u).sum(), u)
    square = option.shape(u.detach()) ** 2
    parallel = critical.weights / (2 * variance) * float(square * (z**2 - 1) @ weight)
    return (
        parallel,
        critical.weights * float(slope**2 @ weight),
        critical.biases + critical.weights * float(square @ weight),
    )


@pytest.mark.parametrize("variance", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("option", [Linear(), Relu(), LeakyRelu(0.3)], ids=lambda one: one.kind)
def test_scale_invariant_activations_are_critical_at_every_variance(option, variance):
    # At the kink the trapezoidal rule is off by half a step of a slope's jump, 1e-3 · 0.4.
    assert susceptibilities(option, variance) == pytest.approx((1, 1, variance), abs=1e-3)


@pytest.mark.parametrize("option", [Tanh(), Erf(), Sine(1.0), Sine(3.0)], ids=lambda one: one.kind)
def test_odd_activations_are_critical_at_no_variance(option):
    # To first order in K both are 1 − O(φ₀‴K): 3 for tanh, erf and sine, ω² times as much for sin(ωz).
    assert susceptibilities(option, 1e-6)[:2] == pytest.approx((1, 1), abs=3e-5)


@pytest.mark.parametrize(("option", "variance"), [(Gelu(), (3 + math.sqrt(17)) / 2), (Silu(), 14.320174)])
def test_half_stable_activations_are_critical_at_one_variance(option, variance):
    # arXiv:2106.10165 has C_W = 1.98305826, C_b = 0.17292239 and 1.98800468, 0.55514317; K* here to eight digits.
    assert susceptibilities(option, variance) == pytest.approx((1, 1, variance), rel=1e-6)


def test_critical_scale_is_the_factor():
    assert scaled(Tanh(scale="critical")).factor == 1
    assert scaled(Sine(4.0, scale="critical")).factor == pytest.approx(1 / 4)
    with pytest.raises(ConfigError, match="activation=softplus has no critical point"):
        scaled(Softplus(scale="critical"))


def test_a_critical_scale_that_is_none_is_refused():
    validate(composed(["activation=tanh", "activation.scale=critical"]))
    with pytest.raises(ConfigError, match="activation=softplus has no critical point that is known"):
        validate(composed(["activation.scale=critical"]))
    gelu = ["activation=gelu", "activation.scale=critical"]
    with pytest.raises(ConfigError, match=r"with biases of variance 0.172922,.*bias_std=0.415839"):
        validate(composed(gelu))
    validate(composed([*gelu, "architecture.bias=1", "architecture.bias_std=0.41584"]))
    with pytest.raises(ConfigError, match="there are no biases"):
        validate(composed(["architecture.bias_std=1"]))
    with pytest.raises(ConfigError, match="must be at most 1"):
        validate(composed(["activation=leaky_relu", "activation.slope=2"]))


@pytest.mark.parametrize("parametrisation", [NTK, MUP, STANDARD])
def test_biases_begin_with_their_variance_in_every_parametrisation(parametrisation):
    net = FullyConnected(3, [4000, 4000], scaled(Tanh()), bias=0.5, bias_std=2.0, parametrisation=parametrisation)
    begun = net.init(0)
    for layer in range(2):
        added = net._bias_scale(layer) * begun[f"B{layer}"]
        # 4000 draws: the variance is known to √(2/4000) = 2.2 %.
        assert float(added.square().mean()) == pytest.approx(1.0, rel=0.1)


def test_limit_knows_the_biases_of_the_start():
    x = torch.eye(2, 3, dtype=torch.float64)
    net = FullyConnected(3, [4], scaled(Erf()), bias=0.5, bias_std=2.0)
    plain = FullyConnected(3, [4], scaled(Erf()), bias=0.5)
    assert float((net.limit(x).nngp - plain.limit(x).nngp).diagonal().min()) > 0.9  # b²·std² = 1 of the last layer


def test_a_bias_that_grows_with_the_width_has_no_limit():
    net = FullyConnected(3, [4], scaled(Erf()), bias=0.5, authors_output_bias=True)
    with pytest.raises(NumericalError, match="grow with h"):
        net.limit(torch.eye(2, 3, dtype=torch.float64))


def test_an_activation_as_it_is():
    plain = scaled(Perturbed(0.25, scale="none"))
    z = torch.linspace(-3, 3, 7).double()
    assert torch.equal(plain(z), z + 0.125 * z**2)
    assert scaled(Tanh(scale="none")).factor == 1
    validate(composed(["activation=perturbed", "activation.scale=none"]))
