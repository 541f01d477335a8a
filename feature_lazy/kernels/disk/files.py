"""The folder of a kernel on disk: ``kernel.json``, which says what it is a kernel of, and one file for each tile.

Tiles are safetensors: mapped into memory like ``.npy``, without the pickles that ``.npy`` may hold, in the format of
the stored runs, and with room for a checksum in the same file, so that a tile and its checksum become visible in one
rename and no list of checksums has to be shared. The checksum covers the tile's place and the kernel's identity (hashes
of the weights and patterns, shape and tile size) beside the numbers: a tile of another kernel is a damaged one.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import read_stored, remove_temporaries, write_atomically

SCHEMA_VERSION = 1
MANIFEST = "kernel.json"
TILES = "*.safetensors"
DTYPES = {"float32": torch.float32, "float64": torch.float64}
# Another process that starts may remove a temporary file, once.
ATTEMPTS = 5

Place = tuple[int, int]
"""Row and column of a tile in the grid of tiles."""


class DamagedTileError(StoreError):
    """A tile that is cut, changed, or of another kernel."""

    def __init__(self, path: Path, what: str) -> None:
        """Name the tile and what is wrong with it."""
        super().__init__(
            f"The tile {path} is damaged: {what}. Damaged tiles are computed anew, and the others kept, when "
            "kernel_on_disk is called with the same weights, patterns and tile."
        )


@dataclass(frozen=True)
class Manifest:
    """What the kernel in a folder is.

    Attributes:
        shape: (M, P1, P2).
        dtype: a name in ``DTYPES``.
        tile: rows and columns of a tile, T; the last ones have what is left.
        weights: hash of the weights.
        rows: hash of the patterns x1.
        columns: hash of the patterns x2; None for Θ(x1, x1), which has only the tiles on and above the diagonal.
        corner: Θ of the first patterns, (M, k1, k2) as nested lists. It tells networks apart that differ in what is
            not a weight, such as the activation.
    """

    shape: tuple[int, int, int]
    dtype: str
    tile: int
    weights: str
    rows: str
    columns: str | None
    corner: list[list[list[float]]]

    @property
    def symmetric(self) -> bool:
        """Whether lower tiles are upper ones, transposed."""
        return self.columns is None

    @property
    def identity(self) -> str:
        """Hash of all that tells this kernel from others; not of the corner, whose rounding depends on the machine."""
        return _checksum({name: value for name, value in asdict(self).items() if name != "corner"})

    def places(self) -> Iterator[Place]:
        """The tiles that are stored, row by row."""
        n_rows, n_columns = (-(-n // self.tile) for n in self.shape[1:])
        return ((i, j) for i in range(n_rows) for j in range(i if self.symmetric else 0, n_columns))

    def slices(self, place: Place) -> tuple[slice, slice]:
        """Patterns of x1 and x2 in a tile."""
        rows, columns = (
            slice(k * self.tile, min((k + 1) * self.tile, n)) for k, n in zip(place, self.shape[1:], strict=True)
        )
        return rows, columns

    def tile_shape(self, place: Place) -> tuple[int, int, int]:
        """(M, rows, columns) of a tile."""
        rows, columns = self.slices(place)
        return self.shape[0], rows.stop - rows.start, columns.stop - columns.start


def tile_path(folder: Path, place: Place) -> Path:
    """File of a tile."""
    return folder / f"{place[0]:05d}-{place[1]:05d}.safetensors"


def hash_of(*tensors: Tensor) -> str:
    """SHA-256 of the dtypes, shapes and bytes of some tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Read and check what the kernel in a folder is.

    Raises:
        StoreError: there is no kernel, it was written by another version, or its manifest is damaged.
    """
    path = folder / MANIFEST
    try:
        fields = json.loads(read_stored(path))
        schema = fields.pop("schema")
        if schema == SCHEMA_VERSION:
            return _manifest(fields)
    except FileNotFoundError as error:
        raise StoreError(f"There is no kernel in {folder}.") from error
    except OSError as error:
        raise StoreError(
            f"The kernel in {folder} cannot be read now ({error.strerror}): that is no sign of damage. Look "
            "again when it can."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            f"The kernel in {folder} is damaged: {MANIFEST} cannot be read ({error}). Remove this folder to compute "
            "the kernel again."
        ) from error
    raise StoreError(
        f"The kernel in {folder} has schema {schema}, this version reads {SCHEMA_VERSION}; use its own version."
    )


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, and make the folder if needed.

    Raises:
        StoreError: it cannot be written.
    """
    fields = asdict(manifest)
    text = json.dumps({"schema": SCHEMA_VERSION, **fields, "sha256": _checksum(fields)}, indent=1, allow_nan=False)
    _write(folder / MANIFEST, text.encode())


def save_tile(folder: Path, manifest: Manifest, place: Place, theta: Tensor) -> None:
    """Write a tile with its checksum.

    Raises:
        StoreError: it cannot be written.
    """
    theta = theta.cpu().contiguous()
    _write(tile_path(folder, place), save({"theta": theta}, {"sha256": _tile_checksum(manifest, place, theta)}))


def load_tile(folder: Path, manifest: Manifest, place: Place, *, verify: bool = True) -> Tensor:
    """A tile (M, rows, columns), mapped from its file: read where it is used, and not to be written to.

    Args:
        folder: of the kernel.
        manifest: of the kernel.
        place: of the tile.
        verify: whether to read it all and hold it against its checksum.

    Raises:
        FileNotFoundError: there is no such tile.
        DamagedTileError: it is cut, changed, or of another kernel.
    """
    path = tile_path(folder, place)
    try:
        with safe_open(path, framework="pt") as file:
            theta, metadata = file.get_tensor("theta"), file.metadata()
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError) as error:
        raise DamagedTileError(path, f"it cannot be read ({error})") from error
    expected = manifest.tile_shape(place), DTYPES[manifest.dtype]
    if (tuple(theta.shape), theta.dtype) != expected:
        raise DamagedTileError(path, f"it is {tuple(theta.shape)} {theta.dtype}, not {expected[0]} {expected[1]}")
    if verify and metadata != {"sha256": _tile_checksum(manifest, place, theta)}:
        raise DamagedTileError(path, "it does not match its checksum")
    return theta


def remove_half_tiles(folder: Path) -> None:
    """Remove what killed processes left of tiles and manifest.

    Raises:
        StoreError: they cannot be removed.
    """
    try:
        for names in (TILES, MANIFEST):
            remove_temporaries(folder, names, below=folder)
    except OSError as error:
        raise StoreError(f"Temporary files in {folder} cannot be removed ({error.strerror}).") from error


def _manifest(fields: dict[str, Any]) -> Manifest:
    """The manifest with these fields.

    Raises:
        ValueError: they do not match their checksum, or make no sense.
    """
    if fields.pop("sha256") != _checksum(fields):
        raise ValueError("it does not match its checksum")
    manifest = Manifest(**{**fields, "shape": tuple(fields["shape"])})
    sizes = (*manifest.shape, manifest.tile)
    if len(sizes) != 4 or not all(type(n) is int and n > 0 for n in sizes) or manifest.dtype not in DTYPES:
        raise ValueError("its values make no sense")
    return manifest


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _tile_checksum(manifest: Manifest, place: Place, theta: Tensor) -> str:
    digest = hashlib.sha256(f"{manifest.identity} {place} ".encode())
    digest.update(theta.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file of the folder, again if another process took its temporary file for a dead one's.

    Raises:
        StoreError: it cannot be written.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return write_atomically(path, data, below=path.parent)
        except OSError as error:
            if attempt == ATTEMPTS or not isinstance(error, FileNotFoundError):
                raise StoreError(
                    f"{path} cannot be written ({error.strerror}). Complete tiles stay valid: call kernel_on_disk "
                    "again once it can."
                ) from error
    return None
