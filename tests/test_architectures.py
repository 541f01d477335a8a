"""Architectures against plain modules written here."""

import math
from itertools import pairwise

import pytest
import torch

from feature_lazy.activations import softplus_activation
from feature_lazy.architectures import Convolutional, FullyConnected
from feature_lazy.errors import ConfigError
from tests.arrays import normal

PHI = softplus_activation(5.0)
MEMBERS = 2


class Reference(torch.nn.Module):
    """The article's network as a plain module, in NTK parametrisation by dividing."""

    def __init__(self, channels, widths):
        super().__init__()
        sizes = [channels, *(c for c in widths for _ in range(2))]
        self.convolutions = torch.nn.ModuleList(
            torch.nn.Conv2d(a, b, 5, stride=2 - i % 2, padding=1, bias=False, dtype=torch.float64)
            for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.last = torch.nn.Linear(sizes[-1], 1, bias=False, dtype=torch.float64)

    def forward(self, x):
        for layer in self.convolutions:
            x = PHI(layer(x) / math.sqrt(25 * layer.in_channels))
        return self.last(x.mean((2, 3))).squeeze(1) / math.sqrt(self.last.in_features)


@pytest.mark.parametrize("widths", [[6, 6], [4, 8]], ids=str)
def test_convolutional_network_is_the_plain_module(widths):
    net, module = Convolutional((2, 23, 23), widths, PHI), Reference(2, widths)
    params = {name: torch.stack([net.init(seed)[name] for seed in range(MEMBERS)]) for name in net.layout.shapes}
    x = normal(5, 2, 23, 23)
    for e in range(MEMBERS):
        with torch.no_grad():
            for weight, name in zip(module.parameters(), net.layout.shapes, strict=True):
                weight.copy_(params[name][e])
        leaves = {name: w[e : e + 1].clone().requires_grad_() for name, w in params.items()}
        found, expected = net.apply(leaves, x.flatten(1))[0], module(x)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        slopes = torch.autograd.grad(found.square().sum(), list(leaves.values()))
        wanted = torch.autograd.grad(expected.square().sum(), list(module.parameters()))
        for slope, want in zip(slopes, wanted, strict=True):
            torch.testing.assert_close(slope[0], want, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(("shape", "message"), [((1, 8, 9), "takes square ones"), ((1, 18, 18), "convolution 4 of 4")])
def test_images_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ConfigError, match=message):
        Convolutional(shape, [3, 3], PHI)


def test_flops_of_the_convolutional_network():
    """By hand: 1 → 3 channels of 4² positions from 8²; 3 → 3 of 2²; the dense layer."""
    net = Convolutional((1, 8, 8), [3], PHI)
    first, second = 2 * 25 * 3 * 9, 2 * 75 * 3 * 1
    assert [layer.positions for layer in net.layers] == [9, 1, 1]
    assert net.forward_flops == first + second + 2 * 3
    assert net.signal_flops == second + 2 * 3


def test_biases_begin_at_zero_and_add_b_times_themselves():
    net = FullyConnected(3, [4, 5], PHI, bias=0.1)
    params = {name: w[None] for name, w in net.init(0).items()}
    plain = FullyConnected(3, [4, 5], PHI)
    x = normal(6, 3)
    assert torch.equal(net.apply(params, x), plain.apply({f"W{i}": params[f"W{i}"] for i in range(3)}, x))
    biases = {f"B{i}": normal(*params[f"B{i}"].shape, seed=i) for i in range(3)}
    inputs = x
    for layer, fan_in in enumerate([3, 4, 5]):
        z = inputs @ params[f"W{layer}"][0].T / math.sqrt(fan_in) + 0.1 * biases[f"B{layer}"][0, :, 0]
        inputs = PHI(z)
    torch.testing.assert_close(net.apply(params | biases, x)[0], z[:, 0], rtol=1e-12, atol=1e-12)
