"""Activations: scaled to E φ² = 1, smooth where they should be."""

import math

import numpy as np
import pytest
import torch

from feature_lazy.networks.activations import Erf, Relu, Softplus, Tanh, scaled, softplus

ACTIVATIONS = {
    "softplus": scaled(Softplus(5.0)),
    "steep softplus": scaled(Softplus(50.0)),
    "relu": scaled(Relu()),
    "tanh": scaled(Tanh()),
    "erf": scaled(Erf()),
}
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)


def test_factor_of_the_article():
    # 1/√∫ sp₅(z)² N(z) dz, by quadrature in extended precision.
    assert scaled(Softplus(5.0)).factor == pytest.approx(1.40438334763187249, rel=1e-13)


def test_factor_of_relu():
    assert scaled(Relu()).factor == pytest.approx(math.sqrt(2), rel=1e-13)


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
