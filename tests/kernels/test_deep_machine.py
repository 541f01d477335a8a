"""Gram matrices that learn: against a solution in closed form, values computed apart, the NNGP, and what is refused."""

import math

import pytest
import torch

from feature_lazy.kernels import infinite_kernels
from feature_lazy.kernels.deep_machine import STEPS, learnt, log_likelihood, prior_grams, prior_kernel
from feature_lazy.networks.activations import Erf, LeakyRelu, Linear, Relu, Tanh, scaled
from tests.arrays import normal
from tests.systems.reference import reference


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("activation", [Relu(), Erf(), LeakyRelu(slope=0.3), Linear()], ids=lambda one: one.kind)
def test_prior_is_that_of_the_infinite_network(activation):
    """By another route, from the patterns; two of them nearly equal, where ReLU's correlation is kept from 1."""
    x = normal(6, 5)
    x[1] = x[0] + 1e-7
    layer = prior_kernel(scaled(activation))
    expected = infinite_kernels(scaled(activation), 3, x).nngp
    # Correlations are kept 1e-9 from 1.
    assert relative(layer(prior_grams(layer, x @ x.mT / 5, 2)[-1]), expected) < 1e-8


@pytest.mark.parametrize("activation", [Relu(), Erf()], ids=lambda one: one.kind)
def test_gradient_of_the_prior(activation):
    """Against differences, the diagonal's too; where two patterns are one it is finite."""
    x = normal(4, 6)
    layer = prior_kernel(scaled(activation))
    assert torch.autograd.gradcheck(lambda g: layer((g + g.mT) / 2), (x @ x.mT / 6).requires_grad_())
    twins = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    layer(twins).sum().backward()
    assert twins.grad is not None
    assert twins.grad.isfinite().all()


@pytest.mark.parametrize(("nu", "c"), [(5.0, 1), (20.0, 3), (3.5, 3)])
def test_closed_form_of_one_linear_layer(nu, c):
    """K = kI without noise: G has the eigenvectors of YYᵀ, and g = k[(ν − C) + √((ν − C)² + 4νe/k)]/2ν."""
    p, k = 6, 2.5
    y = normal(p, c)
    eye = torch.eye(p, dtype=torch.float64)

    def layer(gram):
        """Linear above G_1, and kI below it."""
        return k * eye if gram is eye else gram

    [found] = learnt(layer, eye, y, layers=1, nu=nu, noise=0.0).grams
    e, vectors = torch.linalg.eigh(y @ y.mT)
    g = k * ((nu - c) + ((nu - c) ** 2 + 4 * nu * e.clamp(0) / k).sqrt()) / (2 * nu)
    # The slope of the objective is flat to 1e-8 of it.
    assert relative(found, vectors * g @ vectors.mT) < 1e-6


def test_values_computed_apart():
    known = reference("deep_kernel_machines")
    inputs, y, n = known["inputs"], known["y"], len(known["y"])
    layer = prior_kernel(scaled(Relu()))
    machine = learnt(layer, inputs[:n, :n], y, layers=2, nu=known["nu"], noise=known["noise"])
    for found, expected in zip(machine.grams, known["grams"], strict=True):
        assert relative(found, expected) < 1e-5  # the reference's slope is 1e-7
    assert relative(machine.extended(inputs), known["covariance"]) < 1e-5
    assert relative(machine.predict(inputs, y), known["mean"]) < 1e-5
    total = log_likelihood(machine.kernel, y, known["noise"])
    for gram, prior in zip(machine.grams, (layer(one) for one in (inputs[:n, :n], machine.grams[0])), strict=True):
        ratio = torch.linalg.solve(prior, gram)
        total -= known["nu"] * (ratio.trace() - ratio.logdet() - n) / 2
    assert float(total) == pytest.approx(known["objective"], abs=1e-9)


def test_nothing_is_learnt_at_infinite_nu():
    x, y = normal(9, 4), normal(6)
    layer = prior_kernel(scaled(Relu()))
    inputs = x @ x.mT / 4
    machine = learnt(layer, inputs[:6, :6], y, layers=2, nu=math.inf, noise=0.1)
    whole = infinite_kernels(scaled(Relu()), 3, x).nngp
    torch.testing.assert_close(machine.extended(inputs), whole, rtol=1e-9, atol=1e-10)
    expected = whole[6:, :6] @ torch.linalg.solve(whole[:6, :6] + 0.1 * torch.eye(6), y)
    torch.testing.assert_close(machine.predict(inputs, y), expected, rtol=1e-8, atol=1e-9)
    assert machine.changes == [0, 0]
    a_little, less = (learnt(layer, inputs[:6, :6], y, layers=2, nu=nu, noise=0.1).changes for nu in (1e4, 1e5))
    for one, other in zip(a_little, less, strict=True):
        assert one / other == pytest.approx(10, rel=0.01)


def test_refusals(monkeypatch):
    layer = prior_kernel(scaled(Relu()))
    gram = torch.eye(3, dtype=torch.float64) + 0.5
    job = {"layers": 1, "nu": 1.0, "noise": 0.1}
    with pytest.raises(ValueError, match="has no closed form; take relu"):
        prior_kernel(scaled(Tanh()))
    with pytest.raises(ValueError, match="2 targets do not fit 3 patterns"):
        learnt(layer, gram, normal(2), **job)
    with pytest.raises(ValueError, match="square"):
        learnt(layer, gram[:2], normal(3), **job)
    with pytest.raises(ValueError, match="a kernel on 3 patterns is singular up to rounding: leave out equal patterns"):
        learnt(lambda g: g, torch.ones(3, 3), normal(3), **job)
    monkeypatch.setattr("feature_lazy.kernels.deep_machine.STEPS", 1)
    assert STEPS > 1
    with pytest.raises(ValueError, match="at ν = 1 the Gram matrices are not at rest after 1 steps"):
        learnt(layer, gram, normal(3), **job)
