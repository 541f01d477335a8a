"""Regression on a kernel in a file: as in memory, for any size of a block."""

import pytest
import torch

from feature_lazy.kernels import kernel_regression
from feature_lazy.kernels.blocked import blocked_weights
from tests.arrays import normal

N = 23


def gram(rank=40):
    x = normal(N, rank)
    return x @ x.mT / rank


@pytest.mark.parametrize("columns", [1, 4, 23])
@pytest.mark.parametrize("outputs", [(), (3,)])
def test_equals_regression_in_memory(columns, outputs, tmp_path):
    k, y = gram(), normal(N, 3)[:, : outputs[0]] if outputs else normal(N, 1)[:, 0]
    limit = columns * 3 * 8 * N
    weights = blocked_weights(lambda i, j: k[i, j], y, ridge=0.01, memory_limit=limit, scratch=tmp_path)
    assert weights.shape == y.shape
    # Conditions of 1e3 in float64.
    torch.testing.assert_close(k @ weights, kernel_regression(k[None], k[None], y, ridge=0.01)[0], rtol=1e-11, atol=0)
    assert not list(tmp_path.iterdir())


def test_a_singular_kernel_is_refused_and_nothing_is_left(tmp_path):
    k = gram(rank=5)
    with pytest.raises(ValueError, match="singular up to rounding, or not positive"):
        blocked_weights(lambda i, j: k[i, j], normal(N), ridge=0.0, memory_limit=4000, scratch=tmp_path)
    assert not list(tmp_path.iterdir())
