"""Architectures against plain modules written here."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from feature_lazy.core.errors import ConfigError
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.wide_resnet import WideResnet
from tests.arrays import normal

PHI = scaled(Softplus(5.0))
MEMBERS = 2


class PlainConvolutional(nn.Module):
    """The article's convolutional network as a plain module, in NTK parametrisation by dividing."""

    def __init__(self, channels, widths):
        super().__init__()
        sizes = [channels, *(c for c in widths for _ in range(2))]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 5, stride=2 - i % 2, padding=1, bias=False) for i, (a, b) in enumerate(pairwise(sizes))
        )
        self.last = nn.Linear(sizes[-1], 1, bias=False)

    def forward(self, x):
        for layer in self.convolutions:
            x = PHI(layer(x) / math.sqrt(25 * layer.in_channels))
        return self.last(x.mean((2, 3))).squeeze(1) / math.sqrt(self.last.in_features)


class PlainFullyConnected(nn.Module):
    """Eqs. 11–14 with the biases of App. J."""

    def __init__(self, sizes, b, output):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise([*sizes, 1]))
        self.b, self.output = b, output

    def forward(self, x):
        *hidden, last = self.layers
        for layer in hidden:
            x = PHI(x @ layer.weight.T / math.sqrt(layer.in_features) + self.b * layer.bias)
        return (x @ last.weight.T / math.sqrt(last.in_features) + self.output * last.bias).squeeze(1)


class Scaled(nn.Conv2d):
    """A convolution whose weights are divided by √fan-in, and its biases are not."""

    def forward(self, x):
        scaled = self.weight / math.sqrt(self.weight[0].numel())
        return nn.functional.conv2d(x, scaled, self.bias, self.stride, self.padding)


class PlainBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.shortcut = Scaled(before, after, 1, stride=stride) if stride > 1 or before != after else nn.Identity()
        self.first = Scaled(before, after, 3, padding=1)
        self.second = Scaled(after, after, 3, stride=stride, padding=1)

    def forward(self, x):
        block = self.second(PHI(self.first(PHI(x))))
        return math.cos(math.pi / 4) * self.shortcut(x) + math.sin(math.pi / 4) * block


class PlainWideResnet(nn.Module):
    """Zagoruyko & Komodakis without batch normalisation, mixed at 45°."""

    def __init__(self, channels, h, depth):
        super().__init__()
        self.stem = Scaled(channels, 16, 3, padding=1)
        n, before, blocks = (depth - 4) // 6, 16, []
        for after, stride in ((16 * h, 1), (32 * h, 2), (64 * h, 2)):
            for number in range(n):
                blocks.append(PlainBlock(before, after, stride if number == 0 else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Linear(before, 1, bias=False)

    def forward(self, x):
        x = PHI(self.blocks(self.stem(x))).mean((2, 3))
        return self.last(x).squeeze(1) / math.sqrt(self.last.in_features)


NETWORKS = {
    "convolutional": (Convolutional((2, 24, 24), [6, 6], PHI), PlainConvolutional(2, [6, 6]), (2, 24, 24)),
    "growing": (Convolutional((2, 24, 24), [4, 8], PHI), PlainConvolutional(2, [4, 8]), (2, 24, 24)),
    "bias": (FullyConnected(7, [6, 5], PHI, bias=0.1), PlainFullyConnected([7, 6, 5], 0.1, 0.1), (7,)),
    "authors' bias": (
        FullyConnected(7, [6, 5], PHI, bias=0.1, authors_output_bias=True),
        PlainFullyConnected([7, 6, 5], 0.1, 0.1 * math.sqrt(5)),
        (7,),
    ),
    "resnet 10-1": (WideResnet((1, 8, 8), 1, PHI, depth=10), PlainWideResnet(1, 1, 10), (1, 8, 8)),
    "resnet 10-2": (WideResnet((3, 9, 9), 2, PHI, depth=10), PlainWideResnet(3, 2, 10), (3, 9, 9)),
    "resnet 16-1": (WideResnet((2, 6, 6), 1, PHI, depth=16), PlainWideResnet(2, 1, 16), (2, 6, 6)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_network_is_the_plain_module(name):
    """Values and slopes, for two members whose biases have moved."""
    net, module, shape = NETWORKS[name]
    module = module.double()
    parts = [net.init(seed) for seed in range(MEMBERS)]
    params = {key: torch.stack([part[key] for part in parts]) for key in net.layout.shapes}
    params |= {key: normal(*w.shape, seed=i) for i, (key, w) in enumerate(params.items()) if key.startswith("B")}
    x = normal(5, *shape)
    together = net.apply(params, x.flatten(1))
    for e in range(MEMBERS):
        with torch.no_grad():
            for weight, key in zip(module.parameters(), net.layout.shapes, strict=True):
                weight.copy_(params[key][e].view_as(weight))
        leaves = {key: w[e : e + 1].clone().requires_grad_() for key, w in params.items()}
        found, expected = net.apply(leaves, x.flatten(1))[0], module(x)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(together[e], expected, rtol=1e-12, atol=1e-12)
        slopes = torch.autograd.grad(found.square().sum(), list(leaves.values()))
        wanted = torch.autograd.grad(expected.square().sum(), list(module.parameters()))
        for slope, want in zip(slopes, wanted, strict=True):
            torch.testing.assert_close(slope[0].view_as(want), want, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 8, 9), "takes square ones"),
        ((1, 18, 18), "convolution 4 of 4"),
        ((1, 21, 21), "21 × 21 pixels: .* must be even"),
        ((1, 4, 4), "smaller than a filter of 5 × 5"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape, message):
    with pytest.raises(ConfigError, match=message):
        Convolutional(shape, [3, 3], PHI)


@pytest.mark.parametrize(
    ("shape", "depth", "message"),
    [((1, 8, 8), 12, "architecture.depth=12"), ((1, 2, 2), 10, "smaller than a filter"), ((3, 8, 7), 10, "square")],
)
def test_residual_networks_that_cannot_be_are_refused(shape, depth, message):
    with pytest.raises(ConfigError, match=message):
        WideResnet(shape, 1, PHI, depth=depth)


def test_the_articles_residual_network():
    """28 convolutions and a dense layer, and at h = 10 the 36.5 million weights that Zagoruyko & Komodakis give."""
    net = WideResnet((3, 32, 32), 10, PHI)
    shapes = net.layout.shapes
    weights = sum(math.prod(shape) for name, shape in shapes.items() if name.startswith("W"))
    assert sum(name.startswith("W") for name in shapes) == 29
    assert round(weights / 1e6, 1) == 36.5
    assert net.last_fan_in == 640


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
