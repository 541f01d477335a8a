"""The tangent kernel of more patterns than fit in memory, computed in tiles that a kill or a second process do not mix.

There are no locks, which a kill would leave behind. Whoever computes looks, before each tile, whether it is there and
whole, and takes the tiles in a random order, so that processes that share a folder rarely work on the same one.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.kernels.checks import kernel_entries, takes_arrays
from feature_lazy.kernels.disk.files import (
    DTYPES,
    MANIFEST,
    TILES,
    DamagedTileError,
    Manifest,
    Place,
    hash_of,
    load_manifest,
    load_tile,
    remove_half_tiles,
    save_manifest,
    save_tile,
)
from feature_lazy.kernels.disk.tiles import TiledKernel
from feature_lazy.kernels.disk.work import tile_function
from feature_lazy.kernels.exact import tangent_kernel
from feature_lazy.networks.base import Network
from feature_lazy.networks.layout import Layout, Params

log = logging.getLogger(__name__)

CORNER = 4
"""Patterns of each set whose kernel goes into the manifest."""


@takes_arrays("x1", "x2")
def kernel_on_disk(
    architecture: Network,
    params: Params,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    path: Path | str,
    tile: int = 1000,
    memory_limit: float = 2**30,
    progress: Callable[[int, int], None] | None = None,
) -> TiledKernel:
    """Θ(x, x') = ∇_w f(w, x)·∇_w f(w, x') for every pair of patterns (eq. 5), in files of T × T entries a member.

    A call after a kill, or a second one at the same time, keeps the tiles that are whole and computes the others. Of
    Θ(x1, x1) only the tiles on and above the diagonal are computed and stored.

    Args:
        architecture: a network with one output; one that shows its dense layers needs no Jacobian.
        params: weights of M members.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted.
        path: folder of this kernel, made if it is missing.
        tile: T, patterns in a row or column of a tile.
        memory_limit: bytes that all the work may take, beside weights, patterns and what PyTorch takes for itself.
        progress: told ``(done, total)`` before each tile and at the end; ``progress_bar`` makes one.

    Returns:
        The kernel (M, P1, P2), in the dtype of the weights, to be read tile by tile.

    Raises:
        ConfigError: a network with several outputs, patterns that are not matrices of one d, a dtype other than float32
            or float64, or tiles that are empty or too large for ``memory_limit``.
        NumericalError: entries that are not finite; the message names their tile.
        StoreError: the folder cannot be written, is damaged, or holds something else, such as the kernel of other
            weights or patterns.
    """
    folder = Path(path)
    if architecture.n_outputs > 1:
        raise ConfigError(
            f"the network has {architecture.n_outputs} outputs, and kernels on disk are of one: use tangent_kernel, "
            "with outputs='trace' if all are too many, or multiply by the kernel, TangentOperator(…)."
        )
    _check_patterns(x1, x2, tile)
    manifest = _claim(folder, _describe(architecture, params, x1, x2, tile=tile, memory_limit=memory_limit))
    remove_half_tiles(folder)
    compute = tile_function(architecture, params, (x1, x1 if x2 is None else x2), manifest, memory_limit)
    order = _random_order(manifest)
    for done, place in enumerate(order):
        if progress is not None:
            progress(done, len(order))
        if not _is_whole(folder, manifest, place):
            theta = compute(place)
            save_tile(folder, manifest, place, kernel_entries(theta, _entries(place, manifest.slices(place))))
    if progress is not None:
        progress(len(order), len(order))
    return TiledKernel.load(folder)


def _check_patterns(x1: Tensor, x2: Tensor | None, tile: int) -> None:
    """Refuse patterns and tiles that make no kernel.

    Raises:
        ConfigError: see ``kernel_on_disk``.
    """
    sets = [x1] if x2 is None else [x1, x2]
    if any(x.dim() != 2 or len(x) == 0 or x.shape[1] != x1.shape[1] for x in sets):
        shapes = " and ".join(str(tuple(x.shape)) for x in sets)
        raise ConfigError(f"patterns have the shapes {shapes}; they must be (P, d) with P > 0 and one d.")
    if tile < 1:
        raise ConfigError(f"tile = {tile}: a tile has at least one pattern.")


def _describe(
    architecture: Network, params: Params, x1: Tensor, x2: Tensor | None, *, tile: int, memory_limit: float
) -> Manifest:
    """What the kernel is; the network is known by its weights and by the kernel of a few patterns.

    Raises:
        ConfigError: a dtype that is not stored.
        NumericalError: the kernel of the first patterns is not finite.
    """
    few1, few2 = x1[:CORNER], None if x2 is None else x2[:CORNER]
    corner = tangent_kernel(architecture, params, few1, few2, memory_limit=memory_limit, check_finite=False)
    dtype = str(corner.dtype).removeprefix("torch.")
    if dtype not in DTYPES:
        raise ConfigError(f"a kernel of {dtype} is not stored; weights must be {' or '.join(DTYPES)}.")
    kernel_entries(corner, _entries((0, 0), (slice(corner.shape[1]), slice(corner.shape[2]))))
    return Manifest(
        shape=(corner.shape[0], len(x1), len(x1 if x2 is None else x2)),
        dtype=dtype,
        tile=tile,
        weights=_weights(architecture.layout, params),
        rows=hash_of(x1),
        columns=None if x2 is None else hash_of(x2),
        corner=corner.tolist(),
    )


def _weights(layout: Layout, params: Params) -> str:
    """What tells the weights of a kernel from others: their hash, and which are trained if not all are."""
    digest = hash_of(*(params[name] for name in layout.shapes))
    return f"{digest} {' '.join(layout.trained)}" if layout.fixed else digest


def _claim(folder: Path, manifest: Manifest) -> Manifest:
    """Make the folder one of this kernel, or find that it is.

    Returns:
        The manifest in the folder: its corner may differ from this one's by rounding.

    Raises:
        StoreError: it holds something else, its manifest is damaged, or it cannot be written.
    """
    # In this order: whoever works on this kernel at the same time writes the manifest before any tile.
    if any(folder.glob(TILES)) and not (folder / MANIFEST).exists():
        raise StoreError(f"{folder} has tiles but no {MANIFEST}. Remove this folder, or choose another path.")
    if not (folder / MANIFEST).exists():
        save_manifest(folder, manifest)
    found = load_manifest(folder)
    words = {"weights": "weights", "rows": "patterns x1", "columns": "patterns x2", "tile": "tile", "dtype": "dtype"}
    different = [word for name, word in words.items() if getattr(found, name) != getattr(manifest, name)]
    if not different and not _same_corner(found, manifest):
        different = ["network, whose first entries differ with the same weights"]
    if different:
        raise StoreError(
            f"{folder} holds another kernel: of other {', other '.join(different)}. Choose another path, or remove "
            "this folder to compute the kernel anew."
        )
    return found


def _same_corner(one: Manifest, other: Manifest) -> bool:
    """Whether two kernels begin with the same entries, but for rounding."""
    a, b = (torch.tensor(manifest.corner, dtype=torch.float64) for manifest in (one, other))
    return a.shape == b.shape and bool((a - b).abs().max() <= torch.finfo(DTYPES[one.dtype]).eps ** 0.5 * b.abs().max())


def _random_order(manifest: Manifest) -> list[Place]:
    """All tiles; rows in random order, for their linearisation is kept, and each row's tiles in random order."""
    generator = np.random.default_rng()
    rank = generator.permutation(manifest.shape[1])
    return sorted(manifest.places(), key=lambda place: (rank[place[0]], generator.random()))


def _is_whole(folder: Path, manifest: Manifest, place: Place) -> bool:
    """Whether a tile is there, as it was written; a damaged one is named in the log."""
    try:
        load_tile(folder, manifest, place)
    except FileNotFoundError:
        return False
    except DamagedTileError as error:
        log.warning("%s", error)
        return False
    return True


def _entries(place: Place, patterns: tuple[slice, slice]) -> str:
    """Some entries, for people."""
    (top, bottom), (left, right) = ((part.start or 0, part.stop - 1) for part in patterns)
    return f"in tile {place}, patterns {top}–{bottom} of the rows with {left}–{right} of the columns"
