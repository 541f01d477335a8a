"""Where the images come from. Loading is lazy: naming a source imports nothing."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from feature_lazy.core.errors import DataError
from feature_lazy.settings.registry import options

Loaded = tuple[np.ndarray, np.ndarray]
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
        names: of the classes, ascending; 0, 1, … if it is empty.
        folder: key of ``data.registry.FILES``, if the set has to be downloaded.
    """

    load: Callable[[str | None, int], Loaded]
    counts: tuple[int, ...]
    shape: tuple[int, ...]
    origin: str
    names: tuple[int, ...] = ()
    folder: str | None = None

    @property
    def classes(self) -> tuple[int, ...]:
        """Names of the classes, ascending."""
        return self.names or tuple(range(len(self.counts)))

    @property
    def said_classes(self) -> str:
        """The names of the classes, in a sentence."""
        first, last = self.classes[0], self.classes[-1]
        return f"{first} … {last}" if last - first == len(self.classes) - 1 else ", ".join(map(str, self.classes))

    @property
    def input_dim(self) -> int:
        """d, numbers in one image."""
        return math.prod(self.shape)

    def count(self, name: int) -> int:
        """Images in a class."""
        return self.counts[self.classes.index(name)]


@dataclass(frozen=True)
class Patterns:
    """Patterns that are loaded, of classes or with real targets.

    Attributes:
        name: how an error calls them.
        images: (N, d), numbers.
        shape: of one pattern.
        classes: of each, (N,) of integers; None where they have targets.
        targets: of each, (N,) of float64.
    """

    name: str
    images: np.ndarray
    shape: tuple[int, ...]
    classes: np.ndarray | None = None
    targets: np.ndarray | None = None


def sources() -> dict[str, Source]:
    """Every set of images by its name in the configuration."""
    found = {name: getattr(made, "source", None) for name, made in options("dataset").items()}
    return {name: source for name, source in found.items() if isinstance(source, Source)}


def load_source(name: str, root: str | None = None, seed: int = 0) -> Loaded:
    """Load a data set and check it against what its source promises.

    Args:
        name: a key of ``sources()``.
        root: folder of downloaded files; see ``cache.data_root``.
        seed: the data seed, for a set that is generated.

    Raises:
        DataError: unknown name, files that are missing or damaged, or data that differ from what the entry promises.
    """
    known = sources()
    if name not in known:
        raise DataError(f"There is no data set {name!r}; choose one of {', '.join(known)}.")
    source = known[name]
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
