"""The operator against the tangent kernel that it stands for."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator, eigsh
from torch import nn

from feature_lazy.kernels import TangentOperator, jacobian_kernel, spectrum, tangent_kernel, top_eigenvalues
from feature_lazy.networks.activations import Erf, Relu, Softplus, Tanh, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.functional import of_module
from feature_lazy.networks.generic import Generic
from tests.arrays import normal

# Rounding of sums over some hundred weights.
RELATIVE = 1e-10
P1, P2 = 9, 6


def dense(activation, widths=(6, 5, 7)):
    net = FullyConnected(16, widths, activation)
    return net, {name: weight[None] for name, weight in net.init(0).items()}


def convolutional():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 2), nn.Tanh(), nn.Conv2d(4, 3, 2), nn.Softplus(), nn.Flatten(), nn.Linear(12, 1)
    )
    function, weights = of_module(module.double())
    net = Generic.around(function, weights, normal(2, 1, 4, 4))
    return net, {name: weight[None] for name, weight in weights.items()}


def with_idle_weights():
    """A function of some of its weights only."""

    def function(weights, x):
        return torch.tanh(x @ weights["used"]).sin()

    weights = {"idle": normal(3), "used": normal(16, seed=1)}
    return Generic.around(function, weights, normal(2, 16)), {name: weight[None] for name, weight in weights.items()}


NETWORKS = {
    "softplus": dense(scaled(Softplus(5.0))),
    "relu": dense(scaled(Relu())),
    "tanh": dense(scaled(Tanh()), (5,)),
    "erf": dense(scaled(Erf())),
    "module": convolutional(),
    "function": with_idle_weights(),
}
every_network = pytest.mark.parametrize(("net", "params"), NETWORKS.values(), ids=NETWORKS)
SOFTPLUS = NETWORKS["softplus"]


def assert_same(found, expected):
    assert found.shape == expected.shape
    assert np.linalg.norm(found - np.asarray(expected)) < RELATIVE * np.linalg.norm(expected)


# In bytes, for the fully connected ones: one pattern and column at a time; both a few at a time; all at once.
@pytest.mark.parametrize("memory_limit", [1, 6_000, 18_000, math.inf])
@every_network
def test_products_are_those_of_the_kernel(net, params, memory_limit):
    x1, x2 = normal(P1, 16, seed=1), normal(P2, 16, seed=2)
    theta = jacobian_kernel(net, params, x1, x2)[0].numpy()
    op = TangentOperator(net, params, x1, x2, memory_limit=memory_limit)
    v, u, columns, rows = (normal(*shape).numpy() for shape in ((P2,), (P1,), (P2, 4), (P1, 3)))
    assert op.shape == (P1, P2)
    assert op.dtype == np.float64
    assert_same(op @ v, theta @ v)
    assert_same(op @ v[:, None], theta @ v[:, None])
    assert_same(op @ columns, theta @ columns)
    assert_same(op.rmatvec(u), theta.T @ u)
    assert_same(op.rmatmat(rows), theta.T @ rows)
    assert_same(op.H @ u, theta.T @ u)
    assert op.H.memory_limit == memory_limit


@every_network
def test_one_set_of_patterns(net, params):
    x = normal(P1, 16, seed=1)
    theta = tangent_kernel(net, params, x)[0].numpy()
    assert_same(TangentOperator(net, params, x) @ np.eye(P1), theta)


def test_memory_limits_make_chunks():
    """Nine patterns and two columns: patterns in each forward pass."""
    net, params = SOFTPLUS
    seen = []

    class Watched(TangentOperator):
        def _outputs(self, w, x):
            seen.append(len(x))
            return super()._outputs(w, x)

    for limit, passes in ((1, [1] * 4 * P1), (18_000, [2, 2, 2, 2, 1] * 2), (math.inf, [P1] * 2)):
        seen.clear()
        _ = Watched(net, params, normal(P1, 16), memory_limit=limit) @ np.ones((P1, 2))
        assert seen == passes, limit


def test_takes_what_scipy_hands_it():
    """Integers, columns out of order in memory, arrays that may not be written; inside no_grad as well."""
    net, params = SOFTPLUS
    x = normal(P1, 16, seed=1)
    theta, op = tangent_kernel(net, params, x)[0].numpy(), TangentOperator(net, params, x)
    columns = np.asfortranarray(normal(P1, 3).numpy())[:, ::-1]
    columns.flags.writeable = False
    before = columns.copy()
    one = np.ones(P1)
    one.flags.writeable = False
    with torch.no_grad():
        assert_same(op @ columns, theta @ before)
        assert_same(op @ one, theta @ np.ones(P1))
    assert np.array_equal(columns, before)
    assert_same(op @ np.arange(P1), theta @ np.arange(P1))
    assert not any(weight.requires_grad for weight in params.values())


def test_single_precision():
    net, params = SOFTPLUS
    single = {name: weight.float() for name, weight in params.items()}
    x = normal(P1, 16, seed=1)
    op = TangentOperator(net, single, x.float())
    v = normal(P1).numpy()
    assert (op @ v).dtype == op.dtype == np.float32
    np.testing.assert_allclose(op @ v, TangentOperator(net, params, x) @ v, rtol=1e-4)


@pytest.mark.parametrize("name", ["softplus", "module"])
def test_top_eigenvalues(name):
    net, params = NETWORKS[name]
    x = normal(30, 16, seed=1)
    expected = spectrum(tangent_kernel(net, params, x))[0, :4].tolist()
    op = TangentOperator(net, params, x)
    found = top_eigenvalues(op, 4)
    assert found.tolist() == pytest.approx(expected, rel=1e-10)
    assert torch.equal(found, top_eigenvalues(op, 4))
    start = np.random.default_rng(0).standard_normal(30)
    assert eigsh(op, 4, v0=start, return_eigenvectors=False)[::-1].tolist() == pytest.approx(expected, rel=1e-10)


def test_top_eigenvalues_that_are_not_there_are_refused():
    net, params = SOFTPLUS
    with pytest.raises(ValueError, match="square"):
        top_eigenvalues(TangentOperator(net, params, normal(P1, 16), normal(P2, 16)), 2)
    with pytest.raises(ValueError, match="from 1 to 8"):
        top_eigenvalues(TangentOperator(net, params, normal(P1, 16)), P1)


def test_any_symmetric_operator_has_top_eigenvalues():
    assert top_eigenvalues(aslinearoperator(np.diag([1.0, 9.0, 4.0, 2.0])), 2).tolist() == pytest.approx([9, 4])


def test_overflow_is_refused():
    net, params = SOFTPLUS
    large = {name: weight * 1e100 for name, weight in params.items()}
    op = TangentOperator(net, large, normal(P1, 16))
    with pytest.raises(ValueError, match="product with the tangent kernel has infinities or NaN"):
        op @ np.ones(P1)
    with pytest.raises(ValueError, match="infinities or NaN"):
        top_eigenvalues(op, 2)


def test_several_members_are_refused():
    net, params = SOFTPLUS
    with pytest.raises(ValueError, match="2 members"):
        TangentOperator(net, {name: weight.expand(2, -1, -1) for name, weight in params.items()}, normal(P1, 16))
