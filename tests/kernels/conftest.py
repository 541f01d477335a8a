"""Small kernels on disk, for the tests that kill and damage them."""

import os

import torch

from feature_lazy.kernels import TiledKernel, kernel_on_disk, tangent_kernel
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected

D, P, TILE = 3, 40, 4
TILES = 55
NET = FullyConnected(D, (5, 4), scaled(Softplus(5.0)))
PARAMS = {name: torch.stack([NET.init(seed)[name] for seed in range(2)]) for name in NET.layout.shapes}
X = torch.randn(P, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def compute(path, **changes):
    torch.set_num_threads(1)
    return kernel_on_disk(**{"architecture": NET, "params": PARAMS, "x1": X, "path": path, "tile": TILE, **changes})


def small(path, **changes):
    """A kernel of three tiles, for what is tried many times."""
    return compute(path, **{"x1": X[:8], **changes})


def assert_whole(path, x=X):
    torch.testing.assert_close(
        TiledKernel.load(path).to_dense(), tangent_kernel(NET, PARAMS, x), rtol=1e-12, atol=1e-12
    )
    assert not [name for name in os.listdir(path) if name.startswith(".")]


def tiles(path):
    """Every tile with what would show that it was written again."""
    return {tile.name: (tile.stat().st_ino, tile.stat().st_mtime_ns) for tile in path.glob("[0-9]*")}
