"""A tangent kernel on disk, read tile by tile: slices of it, and products Θv that never hold the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.kernels.disk.files import DTYPES, Manifest, Place, load_manifest, load_tile, tile_path

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator

ALL = slice(None)


@dataclass(frozen=True)
class TiledKernel:
    """Θ of M members, (M, P1, P2), in the folder of ``kernel_on_disk``. Opening it runs no code from there.

    Tiles are mapped into memory. Each is held against its checksum when it is first used; a tile that is cut, changed
    or gone by then is a StoreError that names it, from every method that reads.

    Attributes:
        path: the folder.
        manifest: what it is a kernel of.
    """

    path: Path
    manifest: Manifest
    _verified: set[Place] = field(default_factory=set, init=False, repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | str) -> TiledKernel:
        """Open a complete kernel; its tiles are read when they are used.

        Raises:
            StoreError: there is no kernel, its manifest is damaged, or tiles are missing.
        """
        kernel = cls(Path(path), load_manifest(Path(path)))
        places = list(kernel.manifest.places())
        missing = [place for place in places if not tile_path(kernel.path, place).exists()]
        if missing:
            raise StoreError(
                f"The kernel in {path} is not complete: {len(missing)} of {len(places)} tiles are missing. Call "
                "kernel_on_disk again with the same weights, patterns and tile: it keeps those that are there."
            )
        return kernel

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, P1, P2)."""
        return self.manifest.shape

    @property
    def dtype(self) -> torch.dtype:
        """Type of every entry."""
        return DTYPES[self.manifest.dtype]

    def __getitem__(self, index: tuple[slice, slice]) -> Tensor:
        """``kernel[rows, columns]`` is ``kernel.block(rows, columns)``."""
        return self.block(*index)

    def __matmul__(self, v: Tensor) -> Tensor:
        """``kernel @ v`` is ``kernel.matmul(v)``."""
        return self.matmul(v)

    def block(self, rows: slice, columns: slice) -> Tensor:
        """Θ of some patterns of x1 with some of x2, slices without step: (M, rows, columns).

        Raises:
            ConfigError: a slice with a step.
        """
        rows, columns = (_bounded(part, n) for part, n in zip((rows, columns), self.shape[1:], strict=True))
        theta = torch.empty(self.shape[0], rows.stop - rows.start, columns.stop - columns.start, dtype=self.dtype)
        for i in self._across(rows):
            for j in self._across(columns):
                tile = self._tile((j, i)).mT if self.manifest.symmetric and j < i else self._tile((i, j))
                here = self.manifest.slices((i, j))
                (into_rows, of_rows), (into_columns, of_columns) = map(_overlap, here, (rows, columns))
                theta[:, into_rows, into_columns] = tile[:, of_rows, of_columns]
        return theta

    def to_dense(self) -> Tensor:
        """All of Θ in memory: (M, P1, P2)."""
        return self.block(ALL, ALL)

    def matmul(self, v: Tensor) -> Tensor:
        """Θv, with one tile in memory at a time, each read once.

        Args:
            v: (P2,) or (P2, k) for all members, or (M, P2, k); taken in the kernel's dtype.

        Returns:
            (M, P1) for a vector, else (M, P1, k), on the CPU.

        Raises:
            ConfigError: v has another shape.
        """
        members, _, n_columns = self.shape
        vector = v.dim() == 1
        columns = v[:, None] if vector else v
        if columns.shape[-2:-1] != (n_columns,) or columns.shape[:-2] not in {(), (members,)}:
            raise ConfigError(f"v has the shape {tuple(v.shape)}; it does not fit a kernel of shape {self.shape}.")
        product = self._product(columns, ALL)
        return product[..., 0] if vector else product

    def as_linear_operator(self, member: int = 0) -> LinearOperator:
        """One member's Θ (P1, P2) for SciPy: ``scipy.sparse.linalg.eigsh(kernel.as_linear_operator(), k=10)``.

        Raises:
            ConfigError: there is no such member.
        """
        if not 0 <= member < self.shape[0]:
            raise ConfigError(f"there is no member {member}: the kernel has {self.shape[0]}, from 0.")
        from scipy.sparse.linalg import LinearOperator  # a fifth of a second, which no training needs

        one = slice(member, member + 1)

        def product(v: np.ndarray, *, transposed: bool = False) -> np.ndarray:
            # A copy: the caller's array may be read-only, which tensors cannot be.
            columns = torch.from_numpy(np.array(v)).reshape(len(v), -1)
            return self._product(columns, one, transposed=transposed)[0].numpy().reshape(-1, *v.shape[1:])

        back = partial(product, transposed=True)
        how: tuple[Any, ...] = (product, back, product, np.dtype(self.manifest.dtype), back)
        return LinearOperator(self.shape[1:], *how)  # its __new__ takes them, of which types know nothing

    def _product(self, v: Tensor, members: slice, *, transposed: bool = False) -> Tensor:
        """Θv or Θᵀv of some members for v (P, k) or (M, P, k): (M, P′, k)."""
        v = v.to("cpu", self.dtype)
        n_members = len(range(*members.indices(self.shape[0])))
        product = v.new_zeros(n_members, self.shape[2 if transposed else 1], v.shape[-1])
        for place in self.manifest.places():
            tile = self._tile(place)[members]
            rows, columns = self.manifest.slices(place)
            mirrored = self.manifest.symmetric and rows != columns
            if mirrored or not transposed:
                product[:, rows] += tile @ v[..., columns, :]
            if mirrored or transposed:
                product[:, columns] += tile.mT @ v[..., rows, :]
        return product

    def _across(self, part: slice) -> Iterator[int]:
        """Numbers of the tiles that a slice of patterns meets."""
        return iter(range(part.start // self.manifest.tile, -(-part.stop // self.manifest.tile)))

    def _tile(self, place: Place) -> Tensor:
        """A stored tile, verified when it is first used.

        Raises:
            StoreError: it is missing, or damaged.
        """
        try:
            tile = load_tile(self.path, self.manifest, place, verify=place not in self._verified)
        except FileNotFoundError as error:
            raise StoreError(
                f"The tile {tile_path(self.path, place)} is missing. Call kernel_on_disk again with the same weights, "
                "patterns and tile: it computes what is missing."
            ) from error
        self._verified.add(place)
        return tile


def _bounded(part: slice, n: int) -> slice:
    """A slice with a start and a stop within range(n).

    Raises:
        ConfigError: it has a step.
    """
    start, stop, step = part.indices(n)
    if step != 1:
        raise ConfigError(f"a slice with step {step}: a kernel on disk gives blocks of consecutive patterns.")
    return slice(start, max(start, stop))


def _overlap(tile: slice, part: slice) -> tuple[slice, slice]:
    """What a tile and a part have in common: counted from the part's start, and from the tile's."""
    start, stop = max(tile.start, part.start), min(tile.stop, part.stop)
    return slice(start - part.start, stop - part.start), slice(start - tile.start, stop - tile.start)
