"""M-FAC: products, updates and pruned weights written out as matrices, resumption, laws, and refusals."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import CrossEntropy
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.kernels.inverse_fisher import inverse_fisher_diagonal, inverse_fisher_product, mean_square
from feature_lazy.networks.activations import Erf, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.job import train_config
from feature_lazy.settings.checks import validate
from feature_lazy.study.laws import readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.m_fac import claim
from feature_lazy.systems.m_fac.optimiser import Mfac
from feature_lazy.systems.m_fac.quantity import least, pattern_gradients, surgery
from tests.conftest import TINY
from tests.systems.reference import planted, reference

JOB = (*TINY, "dynamics=mfac", "alpha.value=10")
PRUNED = (*JOB, "centred=false", "alpha=raw", "alpha.value=1", "observe/also=[pruning]")


def test_products_and_diagonal_are_those_of_the_recursion_over_gradients():
    known = reference("m_fac")
    g, damping = known["gradients"][None], torch.full((1,), known["damping"], dtype=torch.float64)
    product = inverse_fisher_product(g, damping, known["x"][None])[0]
    torch.testing.assert_close(product, known["product"], rtol=1e-10, atol=0)
    torch.testing.assert_close(inverse_fisher_diagonal(g, damping)[0], known["diagonal"], rtol=1e-10, atol=0)


def test_of_members_by_themselves_and_of_one_whose_matrix_is_not_positive_definite():
    random = torch.Generator().manual_seed(0)
    g = torch.randn(3, 4, 30, generator=random, dtype=torch.float64)
    x, damping = g[:, 0] + 1, torch.tensor([1e-3, -20.0, 10.0], dtype=torch.float64)
    found = inverse_fisher_product(g, damping, x)
    assert bool(found[1].isnan().all())
    for row in (0, 2):
        dense = g[row].mT @ g[row] / 4 + damping[row] * torch.eye(30, dtype=torch.float64)
        torch.testing.assert_close(found[row], torch.linalg.solve(dense, x[row]), rtol=1e-10, atol=1e-12)


def test_updates_are_those_by_matrices_with_a_ring_of_gradients():
    """Rows of two α, whose gradients are 1/α of the reference's: F⁻¹∇𝓛 of αF goes as 1/α."""
    known = reference("m_fac")
    alpha = torch.tensor([1.0, 8.0]).double()
    optimiser = Mfac(
        kind="mfac", lr=known["lr"], window=known["window"], damping=known["share"], momentum=known["momentum"]
    )
    w = known["weights"].expand(2, -1)
    y = torch.cat([w, w.new_zeros(2, optimiser.slots * w.shape[1])], dim=1)
    for k, (gradient, after) in enumerate(zip(known["gradients"], known["path"], strict=True)):
        flow = SimpleNamespace(alpha=alpha)
        y = optimiser.update(y, gradient / alpha[:, None], torch.tensor([k + 1, k + 1]), alpha, flow)
        moved = alpha[:, None] * (y[:, : w.shape[1]] - w)
        torch.testing.assert_close(moved, (after - w[0]).expand(2, -1), rtol=1e-9, atol=1e-12)


def test_pruned_weights_are_those_of_multipliers():
    known = reference("m_fac")
    w = known["weights"][None]
    gone = torch.zeros_like(w, dtype=torch.bool)
    gone[0, known["gone"].long()] = True
    found = surgery(w, gone, known["gradients"][None], torch.full((1,), known["damping"], dtype=torch.float64))
    torch.testing.assert_close(found[0], known["pruned"], rtol=1e-9, atol=1e-12)


def test_the_smallest_of_each_row():
    values = torch.tensor([[3.0, 1, 2], [0, 5, -1]])
    assert least(values, 2).tolist() == [[False, True, True], [True, False, True]]


def test_gradients_of_patterns_make_the_empirical_fisher_matrix():
    """Its product is that of ``Curvature``, for classes and members of different α."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=random, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    net = FullyConnected(4, [5], scaled(Erf()), n_outputs=3)
    w = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in (0, 1)])
    alpha, loss = torch.tensor([0.5, 4.0]).double(), CrossEntropy(kind="cross_entropy")
    flow = NetworkFlow(net, x, labels, loss, alpha=alpha, w0=w + 0.1)
    moment = SimpleNamespace(setting=SimpleNamespace(flow=flow), weights=w, member=torch.arange(2), alpha=alpha)
    g, v = pattern_gradients(moment, 6), torch.randn(w.shape, generator=random, dtype=torch.float64)
    known = Curvature(net, w, x, labels, loss, alpha, flow.f0).empirical_fisher(v)
    torch.testing.assert_close((g.mT @ (g @ v[..., None]))[..., 0] / 6, known, rtol=1e-9, atol=1e-12)


def test_without_a_gradient_nothing_moves():
    zero = torch.zeros(1, 3, 5)
    assert float(mean_square(zero)) == 1
    optimiser = Mfac(kind="mfac", window=3)
    y, flow = torch.ones(1, 20, dtype=torch.float64), SimpleNamespace(alpha=torch.ones(1).double())
    y[:, 5:] = 0
    assert torch.equal(optimiser.update(y, y[:, 5:10], torch.tensor([1]), torch.ones(1), flow), y)


@pytest.mark.parametrize(
    ("job", "override", "sentence"),
    [
        (JOB, "dynamics.momentum=1", "dynamics.momentum=1.0: must be below 1"),
        (JOB, "dtype=float32 dynamics.damping=1e-7", "dynamics.damping=1e-07: must be at least 1e-06 with float32"),
        (JOB, "dynamics.damping=0", "dynamics.damping=0"),
        (PRUNED, "centred=true", "has all weights of f₀ in it"),
        (PRUNED, "dynamics=linearised", "no weight is of a network of its own"),
        (PRUNED, "observe.also.pruning.shares=[0.5,1]", "must be below 1; at 1 there is no network"),
    ],
)
def test_refusals(tiny, job, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        validate(tiny(*job, *override.split()))


@pytest.mark.parametrize(
    ("job", "override", "sentence"),
    [
        (JOB, "memory_limit=10kB", "dynamics.window=32: so many gradients of 584 weights, of 1 members"),
        (JOB, "width.h=64 observe/also=[inverse_fisher]", "inverts an N × N matrix, for up to 3000 weights"),
    ],
)
def test_refusals_that_need_the_network(tiny, job, override, sentence):
    with pytest.raises(ConfigError, match=sentence):
        train_config(tiny(*job, *override.split()))


ONE = {"widths": (16, 32), "alphas": (1.0,)}


@pytest.mark.parametrize(("size", "verdict"), [(1e-13, AGREES), (1e-8, DIFFERS)])
def test_planted_error(size, verdict):
    [row] = readings(claim.error, planted((claim.ERROR, lambda h, a: size), **ONE))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(np.log10(size), abs=0.1)


@pytest.mark.parametrize(("exponent", "verdict"), [(1, AGREES), (2, DIFFERS)])
def test_planted_cost(exponent, verdict):
    table = planted((claim.FLOPS, lambda h, a: h**exponent), **ONE).assign(L=1)
    [row] = readings(claim.cost, table)
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(exponent, abs=0.1)


@pytest.mark.parametrize(("obs", "verdict"), [(0.2, AGREES), (0.3, CANNOT_TELL), (0.4, DIFFERS)])
@pytest.mark.parametrize(
    ("law", "percent"), [(claim.pruned_70, "70"), (claim.pruned_80, "80"), (claim.pruned_90, "90")]
)
def test_planted_gain(law, percent, obs, verdict):
    columns = [(claim.MAGNITUDE + percent, lambda h, a: 0.3), (claim.OBS + percent, lambda h, a: obs)]
    [row] = readings(law, planted(*columns, **ONE))
    assert row.verdict == verdict
    assert row.estimate.value == pytest.approx(0.3 - obs, abs=0.02)
