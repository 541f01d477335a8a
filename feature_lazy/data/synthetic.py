"""Sets drawn from a law that is known. Patterns are used as they are drawn, with E xᵢ² = 1 and so E |x|² = d.

They are neither centred nor scaled, because that would move the surface between the classes; nor do the authors' own
sets of this kind (arXiv:2007.11471).
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.streams import stream
from feature_lazy.data.rules import asked_for, label_problems, listed, size_problems
from feature_lazy.settings.groups import Data, Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset, Drawn
    from feature_lazy.settings.config import Config

log = logging.getLogger(__name__)
QUADRATIC_MEDIAN = 0.22746821155978644
"""Of x²/2 for x ~ N(0, 1): half the median of χ² with one degree of freedom."""


@dataclass
class Law(Data):
    """Patterns drawn from a law with the data seed, E |x|² = d.

    You write these: ``sample``; ``n_classes``, ``once``, ``in_turn``, ``probes`` and ``directions`` where they differ.
    """

    dim: int = key(30, "d, numbers in one pattern", ge=1)

    once = False
    """Whether no pattern may come twice, of a law with finitely many."""

    @property
    def n_classes(self) -> int:
        """Number of classes: 0, 1, …."""
        return 2

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise on the real targets that are learnt from; those of the test set have none."""
        return 0.0

    def in_turn(self, cycle: Sequence[int], seed: int, n: int) -> np.ndarray:
        """Classes of the first n patterns, (n,): those of the labels' cycle after each other, so that they balance."""
        return np.resize(np.asarray(cycle), n)

    def expected(self, x: np.ndarray) -> np.ndarray | None:
        """Expectation of the targets of patterns x (n, d), (n,), where the law draws them; None: it does not."""
        return None

    @abstractmethod
    def sample(self, rng: np.random.Generator, n: int, seed: int) -> Drawn:
        """The next n patterns of a stream with the data seed: (n, d), classes (n,), and targets (n,), if there are."""

    def directions(self, seed: int) -> np.ndarray | None:
        """What classes and targets depend on, (k, d), if it is a subspace of the inputs."""
        return None

    def probes(self, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Patterns that are no part of any set, (n, d), and what m rules say of them, −1 … 1, (n, m), if there are."""
        return None

    @property
    def class_names(self) -> Sequence[int]:
        return range(self.n_classes)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def classes_by(self) -> str:
        """The key that decides how many classes there are, with its value."""
        return f"dataset={self.kind}"

    def law_problems(self) -> Iterator[str]:
        """What is wrong with the law's own keys together."""
        return iter(())

    def problems(self, config: Config) -> Iterator[str]:
        names = self.class_names
        found = [*self.law_problems(), *size_problems(config, names)]
        yield from found or label_problems(config, self.classes_by, names)

    def build(self, labels: Labels) -> Dataset:
        from feature_lazy.data.prepare import prepare_synthetic

        sizes = (self.n_train, self.n_test, self.seed)
        return prepare_synthetic(self, *sizes, labels=labels, n_valid=self.n_valid)


@dataclass
class Distribution(Law):
    """A law whose patterns say which class they are of.

    You write these: ``patterns`` and ``label``; ``n_classes`` and ``once`` where they differ.
    """

    @abstractmethod
    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """The next n patterns of a stream, (n, d)."""

    @abstractmethod
    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Classes (N,) of patterns x (N, d), and their targets (N,), if the law has real ones."""

    def sample(self, rng: np.random.Generator, n: int, seed: int) -> Drawn:
        x = self.patterns(rng, n)
        return (x, *self.label(x, seed))


@dataclass
class Gaussian(Distribution):
    """Patterns x ~ N(0, I)."""

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.standard_normal((n, self.dim))


@dataclass
class NoisyTargets(Distribution):
    """A law with real targets f*(x), which are learnt with labels=regression.

    Noise is on what is learnt from, training and validation patterns. Test targets stay f*.
    """

    noise: float = key(
        0.0, "σ of N(0, σ²) on training and validation targets, with labels=regression", ge=0, later=True
    )

    @property
    def noise_sd(self) -> float:
        return self.noise

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.noise and not config.labels.real:
            yield (
                f"dataset.noise={self.noise:g}: it is added to real targets, and labels={config.labels.kind} has none; "
                "use labels=regression loss=mse."
            )


@option("dataset", "teacher_student")
class TeacherStudent(NoisyTargets, Gaussian):
    """The sign of a two-layer teacher of x ~ N(0, I): f*(x) = Σ_m erf(w_m·x/√(2d))/√M, w_m ~ N(0, I).

    The soft committee machine of Saad and Solla (Phys. Rev. E 52, 4225, 1995), as in Goldt et al. (arXiv:1906.08632).
    The target is f* over its standard deviation, by the closed form of E erf erf (Williams 1997).
    """

    hidden: int = key(4, "M, hidden units of the teacher", ge=1)

    def directions(self, seed: int) -> np.ndarray:
        return stream(seed, "synthetic", "teacher").standard_normal((self.hidden, self.dim)) / np.sqrt(self.dim)

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        from scipy.special import erf

        w = self.directions(seed)
        overlaps = w @ w.T
        scale = np.sqrt(1 + np.diag(overlaps))
        variance = (2 / np.pi * np.arcsin(overlaps / np.outer(scale, scale))).mean()
        target = erf(x @ w.T / np.sqrt(2)).mean(1) / np.sqrt(variance)
        return (target > 0).astype(np.int64), target


@option("dataset", "quadratic")
class Quadratic(NoisyTargets, Gaussian):
    """x ~ N(0, I) with f*(x) = (β·x/√d)²/2, |β|² = d, along the first axis: x₁²/2, whose variance is ½.

    What Kumar et al. (arXiv:2310.06110) see grok: kernels of nearly linear networks cannot fit it from fewer than
    d(d + 1)/2 patterns, and from fewer than d no network finds β. The class is whether f* is above its median.
    """

    def directions(self, seed: int) -> np.ndarray:
        return np.eye(1, self.dim)

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        target = np.square(x[:, 0]) / 2
        return (target > QUADRATIC_MEDIAN).astype(np.int64), target

    def build(self, labels: Labels) -> Dataset:
        parameters = self.dim * (self.dim + 1) // 2
        if labels.real and not self.dim <= self.n_train < parameters:
            log.warning(
                "dataset.n_train=%d with dataset.dim=%d: below d a network does not find the direction, and from "
                "d(d + 1)/2 = %d on a kernel fits every quadratic function, so that nothing is delayed.",
                *(self.n_train, self.dim, parameters),
            )
        return super().build(labels)


@option("dataset", "circle")
class Circle(NoisyTargets):
    """x uniform on the circle |x|² = 2, with f*(x) = x₁/√2, whose variance is ½; the class is its sign.

    Where a kernel's spectrum, Fourier's, is known, and where noise that is interpolated can be seen (arXiv:2305.14077).
    Half of the patterns have f* > 0, also with labels=regression.
    """

    dim: int = key(2, "d: a circle has two", ge=2)

    def law_problems(self) -> Iterator[str]:
        if self.dim != 2:
            yield f"dataset.dim={self.dim}: a circle lies in the plane; it must be 2."

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        angle = rng.uniform(0, 2 * np.pi, n)
        return np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        target = x[:, 0] / np.sqrt(2)
        return (target > 0).astype(np.int64), target


@option("dataset", "stripe")
class Stripe(Gaussian):
    """x ~ N(0, I), and the class depends on the first coordinate alone: it changes at each interface.

    The stripe model of Paccolat, Petrini, Geiger, Tyloo and Wyart (arXiv:2007.11471), whose interfaces −0.3 and 1.18549
    enclose half of all patterns. Class 1 lies between the first and the second interface.
    """

    interfaces: list[float] = key([-0.3, 1.18549], "values of x₁, ascending")

    def directions(self, seed: int) -> np.ndarray:
        return np.eye(1, self.dim)

    def law_problems(self) -> Iterator[str]:
        if not self.interfaces or list(self.interfaces) != sorted(set(self.interfaces)):
            yield f"dataset.interfaces={listed(self.interfaces)}: must be one or more numbers, ascending."

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        return np.searchsorted(self.interfaces, x[:, 0]).astype(np.int64) % 2, None


@option("dataset", "sparse_parity")
class SparseParity(Distribution):
    """The product of k of d signs: x uniform on {−1, 1}^d, y = x₁ ⋯ x_k (Barak et al., arXiv:2207.08799).

    Which k coordinates they are does not matter to a network without an order of its inputs. No pattern comes twice.
    """

    order: int = key(3, "k, signs in the product", ge=1)

    once = True

    def directions(self, seed: int) -> np.ndarray:
        return np.eye(self.order, self.dim)

    def law_problems(self) -> Iterator[str]:
        if self.order > self.dim:
            yield f"dataset.order={self.order}: must be at most dataset.dim={self.dim}."
        if self.patterns_used > 2 ** (self.dim - 1):
            yield (
                f"dataset.dim={self.dim}: there are {2**self.dim} patterns of signs, and {asked_for(self)} may ask for "
                "half of them at most."
            )

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return 2.0 * rng.integers(0, 2, size=(n, self.dim)) - 1.0

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        return (x[:, : self.order].prod(axis=1) > 0).astype(np.int64), None


@option("dataset", "spheres")
class Spheres(Gaussian):
    """x ~ N(0, I), cut by concentric spheres into shells that are equally likely; the class is the shell.

    With two shells: inside or outside of the sphere of median radius, the spherical model of Paccolat, Spigler and
    Wyart (arXiv:2006.09754).
    """

    shells: int = key(2, "number of shells, equally likely", ge=2)

    @property
    def classes_by(self) -> str:
        return f"dataset.shells={self.shells}"

    @property
    def n_classes(self) -> int:
        """One class for each shell."""
        return self.shells

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        from scipy.special import gammaincinv

        # |x|² follows χ²_d, whose quantiles are twice those of a Γ(d/2).
        squares = 2 * gammaincinv(self.dim / 2, np.arange(1, self.shells) / self.shells)
        return np.searchsorted(squares, np.square(x).sum(axis=1)).astype(np.int64), None
