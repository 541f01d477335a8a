"""Whitening of a set: its first principal components (Fig. 7a), or patterns as before, with ZCA."""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from feature_lazy.core.errors import DataError


class Whitening(Protocol):
    """What is done to every pattern, once it is fitted to all."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a pattern afterwards; empty: that of before."""
        ...

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Patterns (n, D) → patterns (n, d)."""
        ...


Fit = Callable[[Iterable[np.ndarray]], Whitening]
"""From all patterns, some rows (n, D) at a time."""


class Components:
    """Projection on the first d principal components, each scaled to variance 1 over the set.

    It comes last: images are centred and put on their sphere before, and the components are left as they are, so that
    |x|² = d holds in the mean over the set and not for each pattern. Scaling every pattern to it would take the unit
    variance away again, and one of few dimensions; the authors' code does not either.
    """

    def __init__(self, blocks: Iterable[np.ndarray], components: int) -> None:
        """Find the components.

        Args:
            blocks: all patterns, some rows (n, D) at a time.
            components: d.

        Raises:
            DataError: more components than there are directions in which the patterns differ.
        """
        self.mean, covariance = _moments(blocks)
        self.shape = (components,)
        variances, directions = np.linalg.eigh(covariance)
        variances, directions = variances[::-1], directions[:, ::-1]
        rank = int((variances > len(variances) * np.finfo(float).eps * variances[0]).sum())
        if components > rank:
            raise DataError(f"The patterns differ in {rank} directions; {components} components were asked for.")
        kept = directions[:, :components]
        # An eigenvector has no sign of its own: its largest entry is made positive, to be the same on every machine.
        largest = np.abs(kept).argmax(axis=0)
        self.matrix = kept * np.sign(kept[largest, range(components)]) / np.sqrt(variances[:components])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Patterns (n, D) → components (n, d)."""
        return (x - self.mean) @ self.matrix


class Zca:
    """x → √D·x′/|x′| with x′ = C(x − mean), C = (cov + ε·(tr cov/D)·1)^{−1/2}, cov and mean those of the set.

    Zero-phase component analysis, regularised as by Lee et al. (arXiv:2007.15801): directions of little variance are
    blown up, to √((1 + ε)/ε) of the mean one's scale at most. Patterns keep their pixels, and are put on
    their sphere again.
    """

    shape = ()

    def __init__(self, blocks: Iterable[np.ndarray], regularisation: float) -> None:
        """Find C.

        Args:
            blocks: all patterns, some rows (n, D) at a time.
            regularisation: ε, above 0, of the mean variance.
        """
        self.mean, covariance = _moments(blocks)
        variances, directions = np.linalg.eigh(covariance)
        scales = 1 / np.sqrt(variances.clip(min=0) + regularisation * variances.mean())
        self.matrix = (directions * scales) @ directions.T

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Patterns (n, D) → patterns (n, D).

        Raises:
            DataError: a pattern that is the mean of all.
        """
        return scaled_to_sphere((x - self.mean) @ self.matrix, "Pattern {} is the mean of all")


def scaled_to_sphere(centred: np.ndarray, wrong: str) -> np.ndarray:
    """Every row of d numbers, scaled to |x|² = d.

    Args:
        centred: rows (n, d).
        wrong: what is said of a row of zeros, with a place for its number.

    Raises:
        DataError: such a row.
    """
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    if not norms.all():
        raise DataError(f"{wrong.format(int(np.argmin(norms)))}: it cannot be scaled to the sphere.")
    return centred * (np.sqrt(centred.shape[1]) / norms)


def _moments(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and covariance (D, D) of all patterns, some rows (n, D) at a time."""
    n, total, gram = 0, 0.0, 0.0
    for block in blocks:
        n, total, gram = n + len(block), total + block.sum(axis=0), gram + block.T @ block
    mean = np.asarray(total) / n
    return mean, gram / n - np.outer(mean, mean)
