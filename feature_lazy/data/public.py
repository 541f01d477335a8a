"""The public image sets from their files: train and test parts pooled, as the article does (section 2)."""

import numpy as np

from feature_lazy.data.cache import cached_files
from feature_lazy.data.formats import read_cifar, read_idx_pair, tar_members, zip_members

CIFAR_MEMBERS = (*(f"data_batch_{batch}.bin" for batch in range(1, 6)), "test_batch.bin")
LUMA = np.array([299, 587, 114], dtype=np.int32)
"""1000 times the weights of R, G and B in the luma of ITU-R BT.601; the scale drops out on the sphere."""


def _pool(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Parts of images (N, …) and labels (N,) as one: (N, d) and integers (N,)."""
    images = np.concatenate([x.reshape(len(x), -1) for x, _ in parts])
    return images, np.concatenate([y for _, y in parts]).astype(np.int64)


def load_idx(dataset: str, root: str | None) -> tuple[np.ndarray, np.ndarray]:
    """MNIST, or one of the sets that were made in its format.

    Args:
        dataset: its name, which is that of its folder in the cache, too.
        root: see ``cache.data_root``.

    Returns:
        Images (70000, 784) of uint8 and their classes.

    Raises:
        DataError: a file that is missing, damaged or not what it should be.
    """
    files = cached_files(dataset, dataset, root)
    data = [file.read() for file in files]
    names = [str(file.path) for file in files]
    pairs = [read_idx_pair(data[i], data[i + 1], (names[i], names[i + 1])) for i in (0, 2)]
    return _pool(pairs)


def load_emnist(dataset: str, split: str, root: str | None) -> tuple[np.ndarray, np.ndarray]:
    """One of the splits of EMNIST (Cohen, Afshar, Tapson and van Schaik, arXiv:1702.05373).

    The files hold every image transposed; here they are upright.

    Args:
        dataset: the set, as a user writes it.
        split: ``letters``, with the classes 1 … 26, or ``balanced``, with 0 … 46.
        root: see ``cache.data_root``.

    Raises:
        DataError: a file that is missing, damaged or not what it should be.
    """
    [file] = cached_files(dataset, "emnist", root)
    wanted = [
        f"emnist-{split}-{part}-{what}.gz"
        for part in ("train", "test")
        for what in ("images-idx3-ubyte", "labels-idx1-ubyte")
    ]
    data = zip_members(file.read(), str(file.path), wanted)
    names = [f"{member} in {file.path}" for member in wanted]
    pairs = [read_idx_pair(data[i], data[i + 1], (names[i], names[i + 1])) for i in (0, 2)]
    return _pool([(x.transpose(0, 2, 1), y) for x, y in pairs])


def load_cifar10(dataset: str, root: str | None, *, colour: bool) -> tuple[np.ndarray, np.ndarray]:
    """CIFAR10 (Krizhevsky 2009), from the binary edition, which holds no pickle.

    Args:
        dataset: the set, as a user writes it.
        root: see ``cache.data_root``.
        colour: planes R, G, B, d = 3072; else the luma 0.299 R + 0.587 G + 0.114 B, d = 1024, times 1000.

    Raises:
        DataError: a file that is missing, damaged or not what it should be.
    """
    [file] = cached_files(dataset, "cifar10", root)
    data = tar_members(file.read(), str(file.path), CIFAR_MEMBERS)
    batches = [read_cifar(batch, f"{m} in {file.path}") for batch, m in zip(data, CIFAR_MEMBERS, strict=True)]
    if not colour:
        batches = [(np.einsum("nchw,c->nhw", images.astype(np.int32), LUMA), labels) for images, labels in batches]
    return _pool(batches)
