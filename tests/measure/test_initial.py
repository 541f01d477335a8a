"""Initialisations: theory against closed forms and other calculations, what is measured against its definition."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.kernels import infinite_kernels
from feature_lazy.launch.commands import main
from feature_lazy.measure.initial import (
    Check,
    Initialisations,
    checkable,
    checks,
    initialisations,
    kurtosis,
    of_all,
    warnings,
)
from feature_lazy.networks.activations import Gelu, Linear, Perturbed, Relu, Softplus, Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.layout import Layout
from feature_lazy.networks.limits.fluctuations import layers_at_start
from feature_lazy.networks.parametrisation import MUP
from feature_lazy.networks.spiky import SpikyRelu
from feature_lazy.settings.checks import validate
from tests.conftest import composed

RELU, TANH = scaled(Relu()), scaled(Tanh(scale="critical"))
X = torch.ones(1, 5, dtype=torch.float64)


@pytest.mark.parametrize(("option", "c"), [(Relu(), 5), (Linear(), 2)])
@pytest.mark.parametrize(("h", "depth"), [(30, 1), (30, 3), (60, 6), (120, 12)])
def test_kurtosis_of_homogeneous_activations_is_known(option, c, h, depth):
    """c = Var of C_Wφ²: the closed form 3[(1 + c/h)^L − 1]."""
    last = layers_at_start(scaled(option), [h] * depth)[-1]
    assert last.exact
    assert last.kurtosis == pytest.approx(3 * ((1 + c / h) ** depth - 1), rel=1e-10)
    assert (last.variance, last.kernel) == pytest.approx((1, depth + 1), rel=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_spread_of_the_kernel_of_relu(depth):
    """Summed by hand from Var φ² = 5, Var φ′² = 1, Cov = 1 and E φ′⁴ = 2: L(11L + 7)/3(L + 1)h at first order."""
    last = layers_at_start(RELU, [1e7] * depth)[-1]
    # The next order is L/h = 5e-7 of it.
    assert 1e7 * last.kernel_spread == pytest.approx(depth * (11 * depth + 7) / (3 * (depth + 1)), rel=1e-5)


def test_critical_tanh_falls_as_one_over_its_depth():
    """2l·K of layer l from K = 1 on: an independent calculation has these, to the digits that are written."""
    found = layers_at_start(TANH, [math.inf] * 100)
    numbers = [2 * layer * found[layer - 1].variance for layer in (10, 50, 100)]
    assert numbers == pytest.approx([1.160, 1.043, 1.0241], abs=6e-4)
    assert found[-1].spread == 0


def test_vertex_of_critical_tanh():
    """V/K² a layer goes to ⅔: 0.61, 0.63, 0.64, 0.67 ± 0.02 at L = 5 … 40 by another calculation."""
    layers = layers_at_start(TANH, [1e7] * 200)
    each = [1e7 * layers[depth].spread / depth for depth in (5, 10, 20, 40, 200)]
    assert each[:4] == pytest.approx([0.61, 0.63, 0.64, 0.67], abs=0.04)
    assert all(one < other < 2 / 3 for one, other in pairwise(each))
    assert each[-1] == pytest.approx(2 / 3, rel=0.015)


@pytest.mark.parametrize("option", [Softplus(5.0), Gelu(), Perturbed(0.3)], ids=lambda one: one.kind)
def test_infinite_width_is_that_of_the_limit(option):
    bias: Any = {"bias": 0.3, "bias_std": 0.7}
    x = 1.3 * torch.ones(1, 4, dtype=torch.float64)
    limit = infinite_kernels(scaled(option), 3, x, **bias)
    last = layers_at_start(scaled(option), [math.inf] * 3, 1.69, **bias)[-1]
    assert not last.exact
    # The series of the limit is good to 1e-10.
    assert (last.variance, last.kernel) == pytest.approx((float(limit.nngp), float(limit.ntk)), rel=1e-8)


def test_derivatives_are_those_of_differences():
    """What the recursion takes of Hermite coefficients, through the mean at finite h: F″ against a difference of F."""
    h, step = 7.0, 1e-3
    _, second, third = layers_at_start(TANH, [h, h])
    here = second.variance
    ahead, at, behind = (layers_at_start(TANH, [math.inf], here + s)[1].variance for s in (step, 0, -step))
    bend = (ahead - 2 * at + behind) / step**2
    # Of the difference: step² of a fourth derivative of O(10).
    assert third.variance == pytest.approx(at + bend * second.spread * here**2 / 2, rel=1e-5)


def test_what_is_measured_is_what_is_said():
    """g against its definition, Θ and its drift against gradients of one network that is written out."""
    net = FullyConnected(5, [4, 3], scaled(Softplus(2.0)), bias=0.4, bias_std=0.6)
    found = initialisations(net, X, range(3, 6), drift=True)
    assert found.variances.shape == (3, 3)
    w = net.layout.flatten({name: one[None] for name, one in net.init(4).items()})[0]

    def f(w):
        return net.apply(net.layout.unflatten(w[None]), X)[0, 0]

    slope = torch.autograd.functional.jacobian(f, w)
    theta = slope @ slope
    bend = 2 * torch.autograd.functional.hessian(f, w) @ slope
    assert found.kernel is not None
    assert found.drift is not None
    assert found.kernel[1] == pytest.approx(float(theta), rel=1e-12)
    assert found.drift[1] == pytest.approx(float(bend @ slope / theta**1.5), rel=1e-10)
    hidden = net.taps(net.layout.unflatten(w[None]), X)[1][-2].inputs
    g = float((net.activation.factor * hidden).square().mean()) + (0.4 * 0.6) ** 2
    assert found.variances[1, -1] == pytest.approx(g, rel=1e-12)
    assert found.variances[1, 0] == pytest.approx(1 + (0.4 * 0.6) ** 2, rel=1e-12)


def test_initialisations_agree_with_theory_and_those_of_another_network_do_not():
    net = FullyConnected(5, [20] * 3, RELU)
    found = initialisations(net, X, range(400))
    rows = checks(net, X, found)
    assert [row.name for row in rows[3:]] == ["K of layer 4", "excess kurtosis of f", "Θ(x, x)", "Var Θ/(E Θ)²"]
    assert all(row.agrees for row in rows)
    # Linear layers have two fifths of the kurtosis: off by more than four errors of 10 %.
    other = checks(FullyConnected(5, [20] * 3, scaled(Linear())), X, found)
    assert not other[4].agrees
    assert not all(row.agrees for row in checks(FullyConnected(5, [20] * 4, RELU), X, _deeper(found)))


def _deeper(found):
    return Initialisations(np.concatenate([found.variances, found.variances[:, -1:]], 1), found.kernel)


def test_kurtosis_is_that_of_a_mixture():
    """Of two variances, 1 and 3, with half of the seeds each: 3 E g²/(E g)² − 3 = ¾; Var is unbiased, by n/(n − 1)."""
    values = np.array([1.0, 3.0] * 50)
    assert of_all(kurtosis, values) == pytest.approx(0.75 * 100 / 99, rel=1e-12)


def test_a_number_agrees_within_four_errors_and_what_theory_leaves_out():
    assert Check("", 1.39, 0.1, 1.0).agrees
    assert not Check("", 1.41, 0.1, 1.0).agrees
    assert Check("", 1.41, 0.1, 1.0, next=0.02).agrees
    assert Check("", 1.41, 0.1, math.nan).agrees


def test_what_theory_does_not_know_is_refused():
    for net in (
        FullyConnected(5, [4], RELU, parametrisation=MUP),
        FullyConnected(5, [4], RELU, readout="ones"),
        FullyConnected(5, [4], RELU, bias=0.1, authors_output_bias=True),
        Generic(lambda params, x: x @ params["w"], Layout({"w": (5,)}), (5,)),
    ):
        with pytest.raises(ConfigError, match="theory is of architecture=fully_connected"):
            checkable(net)
    with pytest.raises(NumericalError, match="too fast"):
        layers_at_start(scaled(SpikyRelu(amplitude=0.1, frequency=1e3)), [10])
    with pytest.raises(ConfigError, match=r"observe/also=\[init\]"):
        validate(composed("observe/also=[init]", "parametrisation=mup"))
    with pytest.raises(ConfigError, match="relu has a kink"):
        validate(composed("observe/also=[init]", "activation=relu", "observe.also.init.drift=true"))


def test_little_is_told_by_few_seeds_and_of_narrow_networks():
    assert not list(warnings(FullyConnected(5, [4] * 4, RELU), 200))
    deep, few = warnings(FullyConnected(5, [4] * 5, RELU), 50)
    assert "L/h = 5/4 is above 1" in deep
    assert "seeds=50: variances over so few are known to 20%" in few


def test_command(capsys):
    words = ["init-check", "activation=relu", "widths=5,10", "depths=1", "seeds=200"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "relu, L = 1, h = 10: 200 initialisations" in printed
    assert printed.count("excess kurtosis of f") == 2
    assert main(["init-check", "seeds=1.5"]) == 1
    assert "seeds=1.5: must be a whole number from 2 on" in capsys.readouterr().err
    assert main(["init-check", "parametrisation=mup"]) == 1
    assert "theory is of architecture=fully_connected" in capsys.readouterr().err


def test_command_says_what_is_off(capsys, monkeypatch):
    """Theory of another network: its kernel is one layer short."""
    from feature_lazy.measure import initial

    right = initial.layers_at_start
    monkeypatch.setattr(
        initial,
        "layers_at_start",
        lambda phi, widths, *rest, **more: [
            *right(phi, widths, *rest, **more)[:-1],
            right(phi, widths[:-1], *rest, **more)[-1],
        ],
    )
    assert main(["init-check", "activation=relu", "widths=10", "depths=2", "seeds=200"]) == 1
    assert "✗ off" in capsys.readouterr().out
