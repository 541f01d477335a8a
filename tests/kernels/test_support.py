"""The support vector machine on a kernel against its dual, a quadratic programme in a box, solved by another method."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from feature_lazy.kernels.support import support_weights
from tests.arrays import normal

P, STRENGTH = 14, 0.05
Y = torch.tensor([1.0, -1.0] * (P // 2), dtype=torch.float64)


def kernel():
    """Patterns of both labels, apart by their first coordinate, so that some margins are above 1."""
    x = normal(P, 30)
    x[:, 0] += 3 * Y
    return x @ x.mT / 10


def by_quadratic_programme(k):
    """a = y∘b/λ with b in [0, 1/P] that maximises Σb − (b∘y)ᵀK(b∘y)/2λ."""
    q = (Y[:, None] * k * Y).numpy() / STRENGTH

    def loss(b):
        return b @ q @ b / 2 - b.sum(), q @ b - 1

    limits = [(0, 1 / P)] * P
    found = minimize(
        loss, np.full(P, 0.5 / P), jac=True, bounds=limits, method="L-BFGS-B", options={"ftol": 1e-16, "gtol": 1e-12}
    )
    return torch.from_numpy(Y.numpy() * found.x / STRENGTH)


def test_equals_the_dual():
    k = kernel()
    a, expected = support_weights(k, Y, STRENGTH), by_quadratic_programme(k)
    assert 0 < (expected.abs() < 1e-9).sum() < P  # some margins are above 1, and not all
    # Both solvers stop at gradients of about 1e-8.
    torch.testing.assert_close(k @ a, k @ expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(a, expected, rtol=0, atol=1e-5)


def test_two_equal_patterns_and_no_intercept():
    """K = 1 on one pattern of each sign: F = 0 would satisfy an intercept's machine; here y·F = min(1, 1/(2λ)·…)."""
    k = torch.eye(2, dtype=torch.float64)
    y = torch.tensor([1.0, -1.0])
    for strength in (0.1, 5.0):  # margins that are reached, and weights at the wall 1/(λP)
        expected = y.double() * min(1.0, 1 / (2 * strength))
        torch.testing.assert_close(support_weights(k, y, strength), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("k", "y", "words"),
    [
        (kernel(), torch.ones(P), "of both kinds"),
        (kernel(), 2 * Y, r"\+1 and −1"),
        (-kernel(), Y, "not positive"),
        (kernel()[:3], Y, "square"),
    ],
)
def test_refusals(k, y, words):
    with pytest.raises(ValueError, match=words):
        support_weights(k, y, STRENGTH)
