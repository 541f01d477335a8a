"""What computes one tile of a tangent kernel, within a limit of memory."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels.disk.files import DTYPES, Manifest, Place
from feature_lazy.kernels.exact import tangent_kernel
from feature_lazy.kernels.layerwise import Linearisation, factor_bytes, kernel_of, shows_layers
from feature_lazy.networks.base import Layered, Network, Tapped
from feature_lazy.networks.layout import Params

COPIES_OF_TILE = 3
"""A tile, and its bytes on their way to the file, which safetensors may copy once more."""
FREE = 0.25
"""Fraction of ``memory_limit`` that must be left for the passes and products in chunks beside tiles and factors."""


def tile_function(
    architecture: Network, params: Params, patterns: tuple[Tensor, Tensor], manifest: Manifest, memory_limit: float
) -> Callable[[Place], Tensor]:
    """What computes a tile, (M, rows, columns), within the memory.

    Linearisations of as many tiles of patterns as fit are kept: at least that of the row and of the last column.

    Raises:
        ConfigError: the memory does not suffice for such tiles.
    """
    layered = shows_layers(architecture)
    members, *sides = (manifest.shape[0], *(min(manifest.tile, n) for n in manifest.shape[1:]))
    number = torch.empty(0, dtype=DTYPES[manifest.dtype]).element_size()
    tile = COPIES_OF_TILE * members * sides[0] * sides[1] * number
    # Twice while they are made: autograd holds as much until the factors are out of its graph.
    per_pattern = factor_bytes(architecture, members, patterns[0].shape[1], number) if layered else 0.0
    factors = per_pattern * max(sides)
    held = (1 - FREE) * memory_limit
    if held < tile + 4 * factors:
        raise ConfigError(
            f"tiles of {manifest.tile} patterns need a memory_limit of {(tile + 4 * factors) / (1 - FREE):.3g} bytes "
            f"or more; it is {memory_limit:.3g}. Use smaller tiles."
        )
    if not layered:
        return _from_jacobians(architecture, params, patterns, manifest, memory_limit - tile)
    kept = int(min((held - tile) / factors - 2, sum(-(-n // manifest.tile) for n in manifest.shape[1:])))
    return _from_layers(
        architecture, params, patterns, manifest, kept=kept, memory_limit=memory_limit - tile - (kept + 2) * factors
    )


def _from_layers(
    architecture: Layered | Tapped,
    params: Params,
    patterns: tuple[Tensor, Tensor],
    manifest: Manifest,
    *,
    kept: int,
    memory_limit: float,
) -> Callable[[Place], Tensor]:
    """Tiles layer by layer, keeping the last few linearisations."""

    @lru_cache(maxsize=kept)
    def around(side: int, k: int) -> Linearisation:
        part = manifest.slices((k, k))[side]
        return Linearisation.around(architecture, params, patterns[side][part], memory_limit)

    def tile(place: Place) -> Tensor:
        i, j = place
        rows = around(0, i)
        columns = None if manifest.symmetric and i == j else around(0 if manifest.symmetric else 1, j)
        return kernel_of(rows, columns, memory_limit=memory_limit)

    return tile


def _from_jacobians(
    architecture: Network, params: Params, patterns: tuple[Tensor, Tensor], manifest: Manifest, memory_limit: float
) -> Callable[[Place], Tensor]:
    """Tiles of a network whose layers are not known."""

    def tile(place: Place) -> Tensor:
        rows, columns = manifest.slices(place)
        across = None if manifest.symmetric and rows == columns else patterns[1][columns]
        return tangent_kernel(
            architecture, params, patterns[0][rows], across, memory_limit=memory_limit, check_finite=False
        )

    return tile
