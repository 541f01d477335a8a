"""Random arrays from a seed, and how they are compared."""

import pytest
import torch


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rotation(n, seed=0):
    return torch.linalg.qr(normal(n, n, seed=seed)).Q


def gram(members, n, features, seed=0):
    """Kernels of random features, (M, P, P)."""
    x = normal(members, n, features, seed=seed)
    return x @ x.mT


def close(found, expected, rel=1e-10):
    assert found.tolist() == pytest.approx(expected, rel=rel, abs=1e-12)
