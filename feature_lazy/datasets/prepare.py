"""Split, scale and label (spec §2; section 2 of the article)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from feature_lazy.datasets.sources import SOURCES, load_source
from feature_lazy.errors import DataError
from feature_lazy.seeds import stream


@dataclass(frozen=True)
class Dataset:
    """Patterns on the sphere |x|² = d with labels y = ±1.

    Attributes:
        x_train: (P, d).
        y_train: (P,).
        x_test: (P_test, d).
        y_test: (P_test,).
        shape: of one pattern, whose d numbers lie flat.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    shape: tuple[int, ...] = ()

    @property
    def input_dim(self) -> int:
        """d, numbers in one pattern."""
        return self.x_train.shape[1]

    def to(self, dtype: torch.dtype, device: torch.device) -> "Dataset":
        """The same data in another dtype, on another device."""
        x_train, y_train, x_test, y_test = (
            v.to(device, dtype) for v in (self.x_train, self.y_train, self.x_test, self.y_test)
        )
        return Dataset(x_train, y_train, x_test, y_test, self.shape)


def interleave_classes(classes: np.ndarray, seed: int) -> np.ndarray:
    """Indices in the order c0, c1, …, c0, c1, …, each class shuffled and cut to the smallest class.

    Args:
        classes: class of each image (N,).
        seed: the data seed; it decides the order within each class.

    Returns:
        Indices (n_classes · smallest class,) without repetition.
    """
    names = np.unique(classes)
    # Each class has its own stream, so that its order does not depend on the sizes of the others.
    shuffled = [stream(seed, "split", str(c)).permutation(np.flatnonzero(classes == c)) for c in names]
    smallest = min(len(indices) for indices in shuffled)
    return np.stack([indices[:smallest] for indices in shuffled], axis=1).ravel()


def parity_labels(classes: np.ndarray) -> np.ndarray:
    """Y = 2(rank mod 2) − 1 with the rank of each class among the sorted classes in use: (N,) of ±1.

    Raises:
        DataError: an odd number of classes, which parity cannot balance.
    """
    names, ranks = np.unique(classes, return_inverse=True)
    if len(names) % 2:
        raise DataError(f"Parity labels need an even number of classes; there are {len(names)}.")
    return 2.0 * (ranks % 2) - 1.0


def to_sphere(images: np.ndarray) -> np.ndarray:
    """Subtract the mean image, then scale every image (a row of d numbers) to |x|² = d.

    Raises:
        DataError: an image that equals the mean image and so has no direction.
    """
    centred = images - images.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    if not norms.all():
        raise DataError(f"Image {int(np.argmin(norms))} equals the mean image: it cannot be scaled to the sphere.")
    return centred * (np.sqrt(images.shape[1]) / norms)


def prepare(name: str, n_train: int, n_test: int, seed: int) -> Dataset:
    """Load a data set and split it: first n_train patterns to train on, the next n_test to test on.

    Both sets are balanced in the labels because classes are interleaved and both sizes are even.

    Args:
        name: a key of ``SOURCES``.
        n_train: P, even.
        n_test: P_test, even.
        seed: the data seed: one split for all members, α and widths.

    Returns:
        The data in float64 on the CPU.

    Raises:
        DataError: unknown set, odd sizes, or more patterns asked for than the balanced set has.
    """
    images, classes = load_source(name)
    order = interleave_classes(classes, seed)
    if n_train % 2 or n_test % 2:
        raise DataError(f"n_train = {n_train} and n_test = {n_test} must be even, or the labels are not balanced.")
    if n_train + n_test > len(order):
        raise DataError(
            f"{name} has {len(order)} patterns when its classes are cut to the smallest; "
            f"dataset.n_train + dataset.n_test = {n_train} + {n_test} asks for {n_train + n_test}."
        )
    x = torch.from_numpy(to_sphere(images[order]))
    y = torch.from_numpy(parity_labels(classes[order]))
    test = slice(n_train, n_train + n_test)
    return Dataset(x[:n_train], y[:n_train], x[test], y[test], SOURCES[name].shape)
