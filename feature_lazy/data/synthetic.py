"""Sets drawn from a law that is known. Patterns are used as they are drawn, with E xᵢ² = 1 and so E |x|² = d.

They are neither centred nor scaled, because that would move the surface between the classes; nor do the authors' own
sets of this kind (arXiv:2007.11471).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from feature_lazy.core.errors import DataError
from feature_lazy.core.streams import stream

BLOCK = 1024
"""Patterns drawn at a time, whatever P is: more patterns are the same ones and some more."""
PATIENCE = 1000
"""A class is given up when this many times the patterns asked for have been drawn."""

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray | None]
"""Patterns (N, d), their classes (N,) as 0, 1, …, and their targets (N,), if the law has real ones."""


class Law(Protocol):
    """A law of patterns and classes."""

    @property
    def dim(self) -> int:
        """d, numbers in one pattern."""
        ...

    @property
    def n_classes(self) -> int:
        """Number of classes: 0, 1, …."""
        ...

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """The next n patterns of a stream, (n, d)."""
        ...

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Classes (N,) of patterns x (N, d), and their targets (N,), if the law has real ones."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Patterns x ~ N(0, I).

    Attributes:
        dim: d.
    """

    dim: int

    @property
    def n_classes(self) -> int:
        return 2

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return rng.standard_normal((n, self.dim))


@dataclass(frozen=True)
class TeacherStudent(Gaussian):
    """The sign of a two-layer teacher of x ~ N(0, I): f*(x) = Σ_m erf(w_m·x/√(2d))/√M, w_m ~ N(0, I).

    The soft committee machine of Saad and Solla (Phys. Rev. E 52, 4225, 1995), as in Goldt et al. (arXiv:1906.08632).
    The target is f* over its standard deviation, by the closed form of E erf erf (Williams 1997).

    Attributes:
        hidden: M, hidden units of the teacher.
    """

    hidden: int

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        from scipy.special import erf

        w = stream(seed, "synthetic", "teacher").standard_normal((self.hidden, self.dim)) / np.sqrt(self.dim)
        overlaps = w @ w.T
        scale = np.sqrt(1 + np.diag(overlaps))
        variance = (2 / np.pi * np.arcsin(overlaps / np.outer(scale, scale))).mean()
        target = erf(x @ w.T / np.sqrt(2)).mean(1) / np.sqrt(variance)
        return (target > 0).astype(np.int64), target


@dataclass(frozen=True)
class Stripe(Gaussian):
    """x ~ N(0, I), and the class depends on the first coordinate alone: it changes at each interface.

    The stripe model of Paccolat, Petrini, Geiger, Tyloo and Wyart (arXiv:2007.11471), whose interfaces −0.3 and 1.18549
    enclose half of all patterns. Class 1 lies between the first and the second interface.

    Attributes:
        interfaces: values of x₁, ascending.
    """

    interfaces: tuple[float, ...]

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        return np.searchsorted(self.interfaces, x[:, 0]).astype(np.int64) % 2, None


@dataclass(frozen=True)
class SparseParity:
    """The product of k of d signs: x uniform on {−1, 1}^d, y = x₁ ⋯ x_k (Barak et al., arXiv:2207.08799).

    Which k coordinates they are does not matter to a network without an order of its inputs. No pattern comes twice.

    Attributes:
        dim: d.
        order: k.
    """

    dim: int
    order: int

    @property
    def n_classes(self) -> int:
        return 2

    def patterns(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return 2.0 * rng.integers(0, 2, size=(n, self.dim)) - 1.0

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        return (x[:, : self.order].prod(axis=1) > 0).astype(np.int64), None


@dataclass(frozen=True)
class Spheres(Gaussian):
    """x ~ N(0, I), cut by concentric spheres into shells that are equally likely; the class is the shell.

    With two shells: inside or outside of the sphere of median radius, the spherical model of Paccolat, Spigler and
    Wyart (arXiv:2006.09754).

    Attributes:
        shells: number of classes.
    """

    shells: int

    @property
    def n_classes(self) -> int:
        """One class for each shell."""
        return self.shells

    def label(self, x: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        from scipy.special import gammaincinv

        # |x|² follows χ²_d, whose quantiles are twice those of a Γ(d/2).
        squares = 2 * gammaincinv(self.dim / 2, np.arange(1, self.shells) / self.shells)
        return np.searchsorted(squares, np.square(x).sum(axis=1)).astype(np.int64), None


def draw(law: Law, seed: int, cycle: Sequence[int], n: int) -> Drawn:
    """Draw patterns of a law until there are n in the order of a cycle of classes.

    Each class keeps the order in which its patterns were drawn, so a larger n only adds patterns.

    Args:
        law: of patterns and classes.
        seed: the data seed.
        cycle: classes in the order in which they follow each other; see ``labels``.
        n: how many patterns.

    Returns:
        Patterns, classes and targets of the n patterns.

    Raises:
        DataError: a class that hardly ever occurs.
    """
    rng = stream(seed, "synthetic", "patterns")
    wanted = np.resize(np.asarray(cycle), n)
    free = {name: np.flatnonzero(wanted == name) for name in set(cycle)}
    x, target = np.empty((n, law.dim)), None
    seen: set[bytes] = set()
    drawn = 0
    while any(map(len, free.values())):
        if drawn > PATIENCE * (n + BLOCK):
            raise DataError(f"{law}: a class hardly ever occurs; of {drawn} patterns drawn too few are of it.")
        block = law.patterns(rng, BLOCK)
        drawn += BLOCK
        classes, targets = law.label(block, seed)
        fresh = _fresh(block, seen) if isinstance(law, SparseParity) else np.ones(BLOCK, dtype=bool)
        for name, places in free.items():
            found = np.flatnonzero(fresh & (classes == name))[: len(places)]
            here, free[name] = places[: len(found)], places[len(found) :]
            x[here] = block[found]
            if targets is not None:
                target = np.empty(n) if target is None else target
                target[here] = targets[found]
    return x, wanted, target


def _fresh(block: np.ndarray, seen: set[bytes]) -> np.ndarray:
    """Which patterns of signs (n, d) were not seen before, neither in this block; all are, after this."""
    keys = [row.tobytes() for row in np.packbits(block > 0, axis=1)]
    return np.array([not (key in seen or seen.add(key)) for key in keys])
