"""Bytes of the public sets' own formats to arrays, magic numbers and sizes checked. Nothing is unpacked to disk."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np

from feature_lazy.core.errors import DataError

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
"""First four bytes of an IDX file of unsigned bytes with three dimensions and with one."""
CIFAR_SHAPE = (3, 32, 32)
"""Planes R, G, B of an image in the CIFAR binary format, each row by row."""
CIFAR_RECORD = 1 + 3 * 32 * 32


def gunzip(data: bytes, name: str) -> bytes:
    """Decompress a gzip file.

    Raises:
        DataError: not a whole gzip file; the message names it.
    """
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is not a whole gzip file ({error}).") from error


def read_idx(data: bytes, name: str, magic: int) -> np.ndarray:
    """Parse an IDX file: a magic number, the size of each dimension (all big-endian int32), then unsigned bytes.

    Args:
        data: the file, decompressed.
        name: what to call it in an error.
        magic: ``IMAGES_MAGIC`` or ``LABELS_MAGIC``; its last byte is the number of dimensions.

    Returns:
        (N, rows, columns) or (N,) of uint8.

    Raises:
        DataError: another magic number, or more or fewer bytes than the sizes say.
    """
    n_dimensions = magic % 256
    header = 4 * (1 + n_dimensions)
    if len(data) < header:
        raise DataError(f"{name} has {len(data)} bytes, fewer than the {header} of an IDX header.")
    found, *shape = (int(number) for number in np.frombuffer(data, ">i4", 1 + n_dimensions))
    if found != magic:
        raise DataError(f"{name} begins with the magic number {found}, expected {magic}.")
    if min(shape) < 1 or len(data) - header != np.prod(shape, dtype=np.int64):
        sizes = " × ".join(map(str, shape))
        raise DataError(f"{name} has {len(data) - header} bytes after its header, which promises {sizes}.")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def read_idx_pair(images: bytes, labels: bytes, names: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, rows, columns) and labels (N,) of two compressed IDX files that belong together.

    Raises:
        DataError: a file that is not what it should be, or as many labels as there are no images.
    """
    x = read_idx(gunzip(images, names[0]), names[0], IMAGES_MAGIC)
    y = read_idx(gunzip(labels, names[1]), names[1], LABELS_MAGIC)
    if len(x) != len(y):
        raise DataError(f"{names[0]} has {len(x)} images and {names[1]} has {len(y)} labels.")
    return x, y


def read_cifar(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Parse one batch of the CIFAR10 binary format: records of a label and 3072 bytes.

    Returns:
        Images (N, 3, 32, 32) and labels (N,), both of uint8.

    Raises:
        DataError: not a whole number of records, or a label above 9.
    """
    if not data or len(data) % CIFAR_RECORD:
        raise DataError(f"{name} has {len(data)} bytes, not a whole number of records of {CIFAR_RECORD} bytes.")
    records = np.frombuffer(data, np.uint8).reshape(-1, CIFAR_RECORD)
    if (largest := int(records[:, 0].max())) > 9:
        raise DataError(f"{name} holds the label {largest}; CIFAR10 has 0 … 9.")
    return records[:, 1:].reshape(-1, *CIFAR_SHAPE), records[:, 0]


def zip_members(data: bytes, name: str, wanted: Sequence[str]) -> list[bytes]:
    """Contents of the named files in a zip archive, whatever folder of it they are in.

    Raises:
        DataError: not a whole zip file, or a member that is missing.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename.rpartition("/")[2]: member for member in archive.infolist()}
            return [archive.read(members[file]) for file in wanted]
    except KeyError as error:
        raise DataError(f"{name} has no member {error.args[0]}.") from error
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise DataError(f"{name} is not a whole zip file ({error}).") from error


def tar_members(data: bytes, name: str, wanted: Sequence[str]) -> list[bytes]:
    """Contents of the named files in a tar.gz archive, whatever folder of it they are in.

    Raises:
        DataError: not a whole archive, or a member that is missing.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None and (base := member.name.rpartition("/")[2]) in wanted:
                    found[base] = file.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is not a whole tar.gz file ({error}).") from error
    if missing := [file for file in wanted if file not in found]:
        raise DataError(f"{name} has no member {', '.join(missing)}.")
    return [found[file] for file in wanted]
