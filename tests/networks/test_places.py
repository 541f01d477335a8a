"""A weight that acts at several places is one exact tap: its kernel is that of the Jacobian."""

import math
from dataclasses import dataclass, field

import pytest
import torch

from feature_lazy.kernels import jacobian_kernel, layer_kernels, tangent_kernel
from feature_lazy.networks.base import GaussianNetwork, LayerShape
from feature_lazy.networks.layout import Layout
from feature_lazy.networks.places import Places
from feature_lazy.networks.preactivations import layer_speeds

D, TIMES = 5, 3


@dataclass(frozen=True)
class Repeated(GaussianNetwork):
    """z₁ = W x/√d, z_{s+1} = W tanh(z_s)/√d + b + x with one W and one b, f = V tanh(z_S)/√d."""

    n_outputs: int = 1
    layout: Layout = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "layout", Layout({"W0": (D, D), "B0": (D, 1), "W1": (self.n_outputs, D)}))

    @property
    def last_fan_in(self):
        return D

    @property
    def layers(self):
        return [LayerShape(D, D, TIMES), LayerShape(1, D, TIMES), LayerShape(D, self.n_outputs)]

    @property
    def activations_per_pattern(self):
        return 3 * D * TIMES

    @property
    def roles(self):
        return {}

    def taps(self, params, x):
        scale = 1 / math.sqrt(D)
        weight, bias = Places("W0", params["W0"], scale), Places("B0", params["B0"], 1.0)
        u, ones = x, x.new_ones(x.shape[-2], 1)
        for _ in range(TIMES):
            u = weight.at(u, bias.at(ones) + x).tanh()
        last = Places("W1", params["W1"], scale)
        return last.at(u).flatten(1), [weight.tap(), bias.tap(), last.tap()]


def toy(n_outputs=1):
    net = Repeated(n_outputs=n_outputs)
    params = {
        name: torch.stack([net.init(seed)[name] for seed in range(2)]) + 0.1 * (name == "B0")
        for name in net.layout.shapes
    }
    return net, params, torch.randn(6, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("patterns", [slice(0, 6), slice(0, 4)])
def test_kernel_is_that_of_the_jacobian(n_outputs, patterns):
    net, params, x = toy(n_outputs)
    columns = None if patterns.stop == 6 else x[patterns]
    exact = tangent_kernel(net, params, x, columns)
    torch.testing.assert_close(exact, jacobian_kernel(net, params, x, columns), rtol=1e-13, atol=1e-13)


def test_each_weights_part_is_its_own():
    net, params, x = toy()
    parts = layer_kernels(net, params, x)
    for name, part in parts.items():
        alone = {key: weight.clone().requires_grad_(key == name) for key, weight in params.items()}
        rows = [torch.autograd.grad(f, alone[name], retain_graph=True)[0][1] for f in net.apply(alone, x)[1]]
        jacobian = torch.stack(rows).flatten(1)
        torch.testing.assert_close(part[1], jacobian @ jacobian.mT, rtol=1e-13, atol=1e-13)


def test_speeds_are_those_of_a_difference():
    net, params, x = toy()
    w = net.layout.flatten(params)
    velocity = torch.randn(w.shape, dtype=w.dtype, generator=torch.Generator().manual_seed(1))
    found = layer_speeds(net, w, velocity, x)
    before, after = (
        net.taps(net.layout.unflatten(w + eps * velocity), x)[1][0].preactivations for eps in (-1e-5, 1e-5)
    )
    expected = ((after - before) / 2e-5).flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(found["W0/speed"], expected.detach(), rtol=1e-8, atol=0)  # the difference's own error
