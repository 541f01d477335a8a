"""Several outputs: networks and their kernels, against paths that share no code with them."""

import math

import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels import (
    TangentOperator,
    describe,
    empirical_kernel,
    factors,
    joint_kernel,
    kernel_on_disk,
    layer_kernels,
    relative_change,
    tangent_kernel,
)
from feature_lazy.kernels.layerwise import Linearisation
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.generic import Generic
from feature_lazy.networks.outputs import places, span
from tests.arrays import gram, normal

C, MEMBERS = 3, 2
PHI = scaled(Softplus(5.0))
NETWORKS = {
    "dense": (FullyConnected(9, [5, 7], PHI, n_outputs=C), 9),
    "dense with biases": (FullyConnected(9, [5], PHI, bias=0.1, n_outputs=C), 9),
    "convolutional": (Convolutional((2, 8, 8), [4], PHI, n_outputs=C), 128),
}
every_network = pytest.mark.parametrize(("net", "d"), NETWORKS.values(), ids=NETWORKS)
RELATIVE = 1e-10  # rounding of sums over some hundred weights


def weights(net, members=MEMBERS):
    """Biases begin at 0, where a mistake could hide."""
    parts = [net.init(seed) for seed in range(members)]
    return {name: torch.stack([part[name] for part in parts]) + 0.1 for name in net.layout.shapes}


def function(net):
    """A network of ours as a pure function of one member's weights, with outputs (P, C)."""
    return lambda w, x: net.apply({name: v[None] for name, v in w.items()}, x)[0].reshape(len(x), C)


def reference(net, params, x1, x2, **options):
    """Θ of each member by ``empirical_kernel``, pattern by pattern and output by output, as a matrix."""
    found = []
    for e in range(MEMBERS):
        one = {name: w[e] for name, w in params.items()}
        theta = empirical_kernel(function(net), x1, x2, weights=one, **options)
        found.append(theta if theta.dim() == 2 else theta.transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.stack(found)


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert relative_change(found, expected).max() < RELATIVE


def test_places():
    assert places(torch.tensor([[2, 0]]), 3).tolist() == [[6, 7, 8, 0, 1, 2]]
    assert span(slice(1, 3), 3) == slice(3, 9)
    assert places(torch.tensor([4, 1]), 1).tolist() == [4, 1]


def test_outputs_of_a_pattern_lie_side_by_side():
    net = FullyConnected(2, [1], PHI, n_outputs=2)
    params = {"W0": torch.tensor([[[3.0, 4.0]]]).double(), "W1": torch.tensor([[[2.0], [-1.0]]]).double()}
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    hidden = PHI(torch.tensor([3.0, 4.0], dtype=torch.float64) / math.sqrt(2))
    expected = [2 * hidden[0], -hidden[0], 2 * hidden[1], -hidden[1]]
    torch.testing.assert_close(net.apply(params, x)[0], torch.stack(expected))


def test_first_weights_of_hidden_layers_are_those_of_one_output():
    one, several = FullyConnected(9, [5, 7], PHI).init(4), NETWORKS["dense"][0].init(4)
    assert all(torch.equal(one[name], several[name]) for name in ("W0", "W1"))
    assert several["W2"].shape == (C, 7)
    assert torch.equal(several["W2"][:1], one["W2"])


@every_network
@pytest.mark.parametrize("dear", [None, "by_gradients", "by_patches"])
def test_kernel_is_that_of_any_module(net, d, dear, monkeypatch):
    """By both ways of making it, in full and as a trace, of one set of patterns and of two."""
    if dear:
        monkeypatch.setattr(factors, dear, lambda *_: math.inf)
    params, x1, x2 = weights(net), normal(6, d, seed=1), normal(4, d, seed=2)
    generic = Generic.around(function(net), {name: w[0] for name, w in params.items()}, x1)
    assert generic.n_outputs == C
    for right in (None, x2):
        for outputs in ("full", "trace"):
            expected = reference(net, params, x1, right, outputs=outputs)
            assert_same(tangent_kernel(net, params, x1, right, outputs=outputs), expected)
            assert_same(tangent_kernel(net, params, x1, right, outputs=outputs, memory_limit=1.0), expected)
            assert_same(tangent_kernel(generic, params, x1, right, outputs=outputs), expected)
    full = tangent_kernel(net, params, x1, x2)
    assert_same(sum(layer_kernels(net, params, x1, x2).values()), full)
    assert_same(joint_kernel(net, params, x2, x1).test_train, full)
    operator = TangentOperator(net, {name: w[:1] for name, w in params.items()}, x1, x2, memory_limit=1.0)
    v = normal(4 * C, 2, seed=5)
    torch.testing.assert_close(torch.from_numpy(operator @ v.numpy()), full[0] @ v)


def test_blocks_of_a_large_symmetric_kernel():
    """More patterns than the 64 rows of a block."""
    net, d = NETWORKS["dense"]
    params, x = weights(net), normal(150, d, seed=1)
    found = tangent_kernel(net, params, x, memory_limit=1e6)
    assert_same(found, tangent_kernel(net, params, x, x))
    assert_same(found, found.mT)


@every_network
@pytest.mark.parametrize("memory_limit", [1, math.inf])
def test_first_order_products(net, d, memory_limit):
    """Jv and Jᵀa, of all and of some members and patterns."""
    params, x = weights(net), normal(6, d, seed=1)
    w = net.layout.flatten(params)
    jacobian = torch.stack(
        [torch.func.jacrev(lambda v: net.apply(net.layout.unflatten(v), x))(w)[e, :, e] for e in (0, 1)]
    )
    linear = Linearisation.around(net, params, x, memory_limit)
    v, a = normal(MEMBERS, net.layout.size, seed=3), normal(MEMBERS, 6 * C, seed=4)
    torch.testing.assert_close(linear.push_forward(v), torch.einsum("epn,en->ep", jacobian, v))
    torch.testing.assert_close(linear.pull_back(a), torch.einsum("epn,ep->en", jacobian, a))
    patterns = torch.tensor([[0, 2, 5], [4, 1, 3]])
    part, chosen = linear.on(patterns).select(torch.tensor([1])), places(patterns, C)
    torch.testing.assert_close(part.outputs[0], linear.outputs[1, chosen[1]])
    expected = torch.einsum("pn,p->n", jacobian[1, chosen[1]], a[1, : 3 * C])
    torch.testing.assert_close(part.pull_back(a[1:, : 3 * C])[0], expected)


def test_kernel_work_of_several_outputs():
    """By hand for a dense layer of 10 × 4: inputs once, signals for each pair of outputs."""
    layer = FullyConnected(10, [4], PHI).layers[0]
    assert factors.by_patches(layer, 5, 6, 3) == 5 * 6 * 2 * (10 + 9 * 4)
    assert factors.by_gradients(layer, 5, 6, 3) == 2 * 10 * 4 * (15 * 18 + 15 + 18)


def test_what_kernels_refuse(tmp_path):
    net, d = NETWORKS["dense"]
    with pytest.raises(ConfigError, match="outputs='diagonal': must be 'full' or 'trace'"):
        tangent_kernel(net, weights(net), normal(4, d), outputs="diagonal")
    with pytest.raises(ConfigError, match=r"3 outputs.*tangent_kernel"):
        kernel_on_disk(net, weights(net), normal(4, d), path=tmp_path / "kernel")


def test_alignment_with_classes():
    """With YYᵀ ⊗ 1, written out; and two outputs that share no weights have the alignment of one with y = ±1."""
    ranks, theta = torch.tensor([0, 1, 2, 0]), gram(MEMBERS, 4 * C, 20)
    y = torch.eye(C).double()[ranks] - 1 / C
    target = torch.kron(y @ y.mT, torch.eye(C).double())
    expected = (theta * target).sum((1, 2)) / target.norm() / theta.flatten(1).norm(dim=1)
    found = describe(theta, ranks)
    torch.testing.assert_close(found["alignment"], expected)
    torch.testing.assert_close(found["norm"], theta.flatten(1).norm(dim=1))
    torch.testing.assert_close(found["trace"], theta.diagonal(dim1=1, dim2=2).sum(1))
    one, sign = gram(MEMBERS, 4, 20), torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    two = torch.stack([torch.kron(k, torch.eye(2).double()) for k in one])
    torch.testing.assert_close(describe(two, (sign > 0).long())["alignment"], describe(one, sign)["alignment"])
