"""Kernels of every kind of layer, by both ways of making them, against slower paths that share no code with them."""

import math
from dataclasses import dataclass, field

import pytest
import torch

from feature_lazy.core.errors import ConfigError, KernelSizeError, NumericalError
from feature_lazy.kernels import exact, factors, joint_kernel, layer_kernels, relative_change, tangent_kernel
from feature_lazy.kernels.layerwise import Linearisation
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.base import LayerShape, Tap
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.geometry import Window, convolve
from feature_lazy.networks.layout import Layout
from feature_lazy.networks.wide_resnet import WideResnet
from tests.arrays import normal

PHI = scaled(Softplus(5.0))
MEMBERS, SIDE = 2, 7
RELATIVE = 1e-10  # rounding of sums over some hundred weights


@dataclass(frozen=True)
class Odd:
    """A network with what the others lack: uneven strides and paddings, biases of convolutions, a residual sum.

    z¹ = conv(x) + B, z² = x¹ + conv(x¹) + B, z³ = strided conv, f = a dense layer on all of it.
    """

    windows: tuple[Window, ...] = (Window(3, 1, 1), Window(3, 1, 1), Window(4, 3, 2))
    layout: Layout = field(
        default_factory=lambda: Layout(
            {"C0": (3, 2, 3, 3), "B0": (3, 1), "C1": (3, 3, 3, 3), "B1": (3, 1), "C2": (2, 3, 4, 4), "D": (1, 18)}
        )
    )
    n_outputs: int = 1
    last_fan_in: int = 18
    activations_per_pattern: int = 1000
    forward_flops: float = 1.0
    signal_flops: float = 1.0

    @property
    def layers(self):
        return [
            LayerShape(18, 3, 49),
            LayerShape(1, 3, 49),
            LayerShape(27, 3, 49),
            LayerShape(1, 3, 49),
            LayerShape(48, 2, 9),
            LayerShape(18, 1),
        ]

    def taps(self, params, x):
        ones = x.new_ones(x.shape[-2], 1)
        inputs, taps = x.unflatten(-1, (2, SIDE, SIDE)), []
        for index in range(2):
            bias = 0.1 * params[f"B{index}"][:, None, :, :, None]
            z = 0.3 * convolve(inputs, params[f"C{index}"], self.windows[index]) + bias
            z = z + inputs if index else z
            taps += [Tap(f"C{index}", inputs, z, 0.3, self.windows[index]), Tap(f"B{index}", ones, z, 0.1)]
            inputs = torch.tanh(z)
        z = convolve(inputs, params["C2"], self.windows[2])
        taps.append(Tap("C2", inputs, z, 1.0, self.windows[2]))
        inputs = torch.sin(z).flatten(2)
        f = 0.2 * inputs @ params["D"].mT
        return f.squeeze(-1), [*taps, Tap("D", inputs, f, 0.2)]

    def apply(self, params, x):
        return self.taps(params, x)[0]

    def init(self, seed):
        return {name: normal(*shape, seed=seed * 10 + i) for i, (name, shape) in enumerate(self.layout.shapes.items())}


NETWORKS = {
    "dense with biases": (FullyConnected(9, [5, 7], PHI, bias=0.1), 9),
    "convolutional": (Convolutional((1, 20, 20), [3, 4], PHI), 400),
    "convolutional, wide": (Convolutional((2, 8, 8), [10], PHI), 128),
    "odd": (Odd(), 2 * SIDE**2),
    "residual": (WideResnet((1, 4, 4), 1, PHI, depth=10), 16),
}
every_network = pytest.mark.parametrize(("net", "d"), NETWORKS.values(), ids=NETWORKS)
WAYS = {"by flops": None, "patches": "by_gradients", "gradients": "by_patches"}
every_way = pytest.mark.parametrize("dear", WAYS.values(), ids=WAYS)


@pytest.fixture
def one_way(dear, monkeypatch):
    """Make one of the two ways too dear to be taken."""
    if dear:
        monkeypatch.setattr(factors, dear, lambda *_: math.inf)


def weights(net, members=MEMBERS):
    parts = [net.init(seed) for seed in range(members)]
    # Biases begin at 0, where a mistake could hide.
    return {name: torch.stack([part[name] for part in parts]) + 0.1 for name in net.layout.shapes}


def gradients(net, params, x):
    """∇_w f, pattern by pattern, by plain autograd: name → (M, P, …)."""
    found = {name: [] for name in params}
    for e in range(len(params["D"] if "D" in params else params["W0"])):
        rows = []
        for pattern in x:
            leaves = {name: w[e : e + 1].clone().requires_grad_() for name, w in params.items()}
            rows.append(torch.autograd.grad(net.apply(leaves, pattern[None]).squeeze(), list(leaves.values())))
        for name, values in zip(params, zip(*rows, strict=True), strict=True):
            found[name].append(torch.stack([v.flatten() for v in values]))
    return {name: torch.stack(values) for name, values in found.items()}


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert relative_change(found, expected).max() < RELATIVE


@every_network
@every_way
@pytest.mark.usefixtures("one_way")
def test_every_weight_adds_the_product_of_its_gradients(net, d, dear):
    params, x1, x2 = weights(net), normal(9, d, seed=1), normal(4, d, seed=2)
    g1, g2 = gradients(net, params, x1), gradients(net, params, x2)
    for found, right in ((layer_kernels(net, params, x1, x2), g2), (layer_kernels(net, params, x1), g1)):
        assert list(found) == list(net.layout.shapes)
        for name, theta in found.items():
            assert_same(theta, g1[name] @ right[name].mT)


@every_network
def test_layers_sum_to_the_kernel(net, d):
    params, x = weights(net), normal(9, d, seed=1)
    assert_same(sum(layer_kernels(net, params, x).values()), tangent_kernel(net, params, x))


@every_network
def test_equals_the_generic_path(net, d):
    """The generic path knows nothing of layers."""
    params, x1, x2 = weights(net), normal(5, d, seed=1), normal(3, d, seed=2)
    one = {name: w[0] for name, w in params.items()}
    generic = Generic.around(lambda w, x: net.apply({k: v[None] for k, v in w.items()}, x)[0], one, x1)
    assert_same(tangent_kernel(net, params, x1, x2), tangent_kernel(generic, params, x1, x2))


# In bytes: nothing fits, so one pattern and one unit at a time; tiles of a few patterns; all at once.
@pytest.mark.parametrize("memory_limit", [1, 3e4, 3e5, math.inf])
@every_network
@every_way
@pytest.mark.usefixtures("one_way")
def test_does_not_depend_on_the_memory_limit(net, d, dear, memory_limit):
    params, x1, x2 = weights(net), normal(5, d, seed=1), normal(3, d, seed=2)
    g1, g2 = (torch.cat(list(gradients(net, params, x).values()), 2) for x in (x1, x2))
    assert_same(tangent_kernel(net, params, x1, x2, memory_limit=memory_limit), g1 @ g2.mT)
    theta = tangent_kernel(net, params, x1, memory_limit=memory_limit)
    assert_same(theta, g1 @ g1.mT)
    assert torch.equal(theta, theta.mT)


@every_network
def test_members_do_not_mix(net, d):
    params, x = weights(net, 3), normal(6, d, seed=1)
    together = tangent_kernel(net, params, x)
    for e in range(3):
        alone = tangent_kernel(net, {name: w[e : e + 1] for name, w in params.items()}, x)
        assert_same(together[e : e + 1], alone)


@every_network
def test_layers_have_the_shapes_that_they_say(net, d):
    """Work and memory are planned by them."""
    linear = Linearisation.around(net, weights(net), normal(2, d), math.inf)
    assert [layer.shape for layer in linear.layers] == list(net.layers)


@every_network
@pytest.mark.parametrize("memory_limit", [1, math.inf])
def test_first_order_products(net, d, memory_limit):
    """Jv and Jᵀa, of all and of some members and patterns."""
    params, x = weights(net), normal(6, d, seed=1)
    jacobian = torch.cat(list(gradients(net, params, x).values()), 2)
    linear = Linearisation.around(net, params, x, memory_limit)
    v, a = normal(MEMBERS, net.layout.size, seed=3), normal(MEMBERS, 6, seed=4)
    torch.testing.assert_close(linear.push_forward(v), torch.einsum("epn,en->ep", jacobian, v))
    torch.testing.assert_close(linear.pull_back(a), torch.einsum("epn,ep->en", jacobian, a))
    patterns = torch.tensor([[0, 2, 5], [4, 1, 3]])
    part = linear.on(patterns).select(torch.tensor([1]))
    torch.testing.assert_close(
        part.pull_back(a[1:, :3]), torch.einsum("pn,p->n", jacobian[1, patterns[1]], a[1, :3])[None]
    )


def test_flops_decide_between_the_two_ways():
    """The article's network, h = 400, on 28 × 28: products of patches in the last convolution and the dense layer."""
    net = Convolutional((1, 28, 28), [400, 400], PHI)
    assert [layer.positions for layer in net.layers] == [169, 121, 25, 9, 1]
    cheaper = [factors.by_patches(layer, 500, 500) < factors.by_gradients(layer, 500, 500) for layer in net.layers]
    assert cheaper == [False, False, False, True, True]
    # By hand for the fourth: 9² (2·2·(10000 + 400)/2 + 100) against 2·10000·400 and 9 patches a pattern.
    assert factors.by_patches(net.layers[3], 1, 1) == 81 * (2 * 10_400 + 100)
    assert factors.by_gradients(net.layers[3], 10, 10) == 2 * 10_000 * 400 * (100 + 9 * 20)


def test_joint_kernel_is_three_kernels():
    net, d = NETWORKS["convolutional"]
    params, x1, x2 = weights(net), normal(6, d, seed=1), normal(4, d, seed=2)
    joint = joint_kernel(net, params, x1, x2)
    assert_same(joint.train, tangent_kernel(net, params, x1))
    assert_same(joint.test_train, tangent_kernel(net, params, x2, x1))
    assert_same(joint.test, tangent_kernel(net, params, x2))


def test_kernel_larger_than_the_memory_names_the_ways_out(monkeypatch):
    net = FullyConnected(4, [3], PHI)
    params, x = weights(net), normal(100, 4)
    monkeypatch.setattr(exact, "free_bytes", lambda device: 2 * 100 * 100 * 8 - 1.0)
    with pytest.raises(KernelSizeError, match=r"2 × 100 × 100 numbers takes 0\.0 GiB.*kernel_on_disk.*TangentOperator"):
        tangent_kernel(net, params, x)
    monkeypatch.setattr(exact, "free_bytes", lambda device: 2 * 100 * 100 * 8 + 1.0)
    assert tangent_kernel(net, params, x).shape == (2, 100, 100)
    with pytest.raises(KernelSizeError):
        layer_kernels(net, params, x)


def test_kernel_that_is_not_finite_is_refused():
    net = FullyConnected(4, [3], PHI)
    params, x = weights(net), normal(5, 4)
    params["W1"][1, 0, 2] = math.nan
    with pytest.raises(NumericalError, match="infinities or NaN in the kernel of member 1"):
        tangent_kernel(net, params, x)
    with pytest.raises(NumericalError, match="member 1"):
        layer_kernels(net, params, x)
    theta = tangent_kernel(net, params, x, check_finite=False)
    assert theta[0].isfinite().all()
    assert not theta[1].isfinite().any()
    generic = Generic.around(lambda w, x: net.apply({k: v[None] for k, v in w.items()}, x)[0], net.init(0), x)
    assert torch.equal(tangent_kernel(generic, params, x, check_finite=False).isfinite(), theta.isfinite())
    with pytest.raises(NumericalError, match="member 1"):
        tangent_kernel(generic, params, x)


def test_parts_need_layers():
    generic = Generic.around(lambda w, x: x @ w["a"], {"a": torch.ones(3).double()}, normal(2, 3))
    with pytest.raises(ConfigError, match="does not show its layers"):
        layer_kernels(generic, {"a": torch.ones(1, 3).double()}, normal(2, 3))
