"""The layer-wise kernel against two slower paths that share no code with it."""

import math

import pytest
import torch

from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.networks.activations import Relu, Softplus, Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected

MEMBERS, D = 3, 4
ACTIVATIONS = {"softplus": scaled(Softplus(5.0)), "relu": scaled(Relu()), "tanh": scaled(Tanh())}
# Rounding of sums over at most 100 weights, against entries of order 1 … 10.
RELATIVE = 1e-10


def network(activation="softplus", widths=(5, 7, 3)):
    return FullyConnected(D, widths, ACTIVATIONS[activation])


def weights(net):
    """Weights of three members, seeds 0 … 2."""
    members = [net.init(seed) for seed in range(MEMBERS)]
    return {name: torch.stack([member[name] for member in members]) for name in net.layout.shapes}


def patterns(n, seed):
    return torch.randn(n, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def per_sample_kernel(net, params, x1, x2):
    """Θ from one backward pass for each pattern and member."""

    def gradient(member, x):
        w = {name: weight[member : member + 1].clone().requires_grad_() for name, weight in params.items()}
        parts = torch.autograd.grad(net.apply(w, x[None]).squeeze(), list(w.values()))
        return torch.cat([part.flatten() for part in parts])

    return torch.stack(
        [
            torch.stack([gradient(e, x) for x in x1]) @ torch.stack([gradient(e, x) for x in x2]).T
            for e in range(MEMBERS)
        ]
    )


def functional_kernel(net, params, x1, x2):
    """Θ from the full Jacobian by ``torch.func``."""

    def jacobian(x):
        def one(member):
            return torch.func.jacrev(lambda w: net.apply({k: v[None] for k, v in w.items()}, x)[0])(member)

        return torch.func.vmap(one)(params)

    j1, j2 = jacobian(x1), jacobian(x2)
    return sum(torch.einsum("epi,eqi->epq", j1[name].flatten(2), j2[name].flatten(2)) for name in params)


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert relative_change(found, expected).max() < RELATIVE


@pytest.mark.parametrize("reference", [per_sample_kernel, functional_kernel])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(6,), (5, 7, 3)], ids=str)
def test_equals_the_slow_paths(reference, activation, widths):
    net = network(activation, widths)
    x1, x2, params = patterns(6, 1), patterns(4, 2), weights(net)
    assert_same(tangent_kernel(net, params, x1, x2), reference(net, params, x1, x2))
    assert_same(tangent_kernel(net, params, x1), reference(net, params, x1, x1))


# In bytes: one pattern and row at a time; a few, with an uneven last block; all at once.
@pytest.mark.parametrize("memory_limit", [1, 700, 2000, 8000, math.inf])
def test_does_not_depend_on_the_memory_limit(memory_limit):
    net = network()
    x1, x2, params = patterns(11, 1), patterns(7, 2), weights(net)
    found = tangent_kernel(net, params, x1, x2, memory_limit=memory_limit)
    assert_same(found, functional_kernel(net, params, x1, x2))


def test_members_do_not_mix():
    net = network()
    x, params = patterns(6, 1), weights(net)
    together = tangent_kernel(net, params, x)
    for e in range(MEMBERS):
        alone = tangent_kernel(net, {name: weight[e : e + 1] for name, weight in params.items()}, x)
        assert_same(together[e : e + 1], alone)


def test_is_symmetric_and_positive():
    net = network()
    theta = tangent_kernel(net, weights(net), patterns(30, 1), memory_limit=2000)
    torch.testing.assert_close(theta, theta.mT, rtol=1e-13, atol=1e-13)
    eigenvalues = torch.linalg.eigvalsh(theta)
    assert (eigenvalues[:, 0] > -1e-12 * eigenvalues[:, -1]).all()


def test_leaves_weights_without_a_graph():
    net = network()
    params = weights(net)
    theta = tangent_kernel(net, params, patterns(3, 1))
    assert not theta.requires_grad
    assert not any(weight.requires_grad for weight in params.values())


def test_infinitely_wide_relu_network_of_one_layer():
    """Θ → (x·x'/d) κ₀ + κ₁ with the arc-cosine kernels; at angle 0 both are 1, so Θ(x, x) = 2."""
    net = FullyConnected(D, [20_000], scaled(Relu()))
    x = patterns(2, 3)
    x *= math.sqrt(D) / x.norm(dim=1, keepdim=True)
    angle = torch.arccos(x[0] @ x[1] / D)
    kappa0 = (math.pi - angle) / math.pi
    kappa1 = (torch.sin(angle) + (math.pi - angle) * torch.cos(angle)) / math.pi
    off = torch.cos(angle) * kappa0 + kappa1
    expected = torch.tensor([[2.0, off], [off, 2.0]], dtype=torch.float64)
    theta = tangent_kernel(net, {name: weight[None] for name, weight in net.init(0).items()}, x)[0]
    # Mean over h units of terms with standard deviation below 4: 4/√20000 = 0.03, and three of them.
    torch.testing.assert_close(theta, expected, rtol=0, atol=0.09)
