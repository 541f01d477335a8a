"""Learning curves of the kernels of stored runs: kernel regression on n of N patterns, and what theory says of it.

The patterns are test patterns, on which the kernel at the end of training is one that has not seen their labels. Theory
is the eigenframework (``kernels.omniscient``) with the spectrum of the kernel on all N.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.core.streams import stream
from feature_lazy.kernels.omniscient import fitting_ratio, risk, unseen
from feature_lazy.kernels.regression import kernel_regression
from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.runs.batch import build
from feature_lazy.runs.network import stored_config
from feature_lazy.runs.reading import Run
from feature_lazy.settings.cells import targets
from feature_lazy.study.estimate import Estimate, estimate

KERNELS = ("start", "end", "infinite_ntk", "infinite_nngp")
"""Where a kernel comes from: Θ as it is stored, or the limit of the run's network."""
NEAR = 0.1
"""Up to this share of the N patterns theory is within 5 %, as measured; beyond it is said to be worse."""
MOST = 0.5
RANKS = (0.01, 0.2)
"""Ranks, over N, between which tails are fitted: those below are few, those above bend because N is finite."""


@dataclass(frozen=True)
class Population:
    """N patterns that stand for all: a kernel between them, and its spectrum.

    Attributes:
        kernel: (N, N).
        y: real targets, (N,).
        eigenvalues: those of the kernel over N, descending, (N,).
        vectors: eigenvectors in that order, columns of (N, N).
        coefficients: mean squares of y's parts along them, (N,).
    """

    kernel: np.ndarray
    y: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def of(cls, kernel: np.ndarray, y: np.ndarray) -> "Population":
        """Diagonalise a kernel."""
        kernel, y = kernel.astype(float), y.astype(float)
        values, vectors = (part[..., ::-1] for part in np.linalg.eigh(kernel / len(y)))
        values = np.where(values > len(y) * np.finfo(float).eps * values[0], values, 0.0)  # others are rounding
        return cls(kernel, y, values, vectors, (y @ vectors) ** 2 / len(y))

    @property
    def size(self) -> int:
        """N."""
        return len(self.y)

    def theory(self, n: int, *, ridge: float = 0.0, k: float = math.inf) -> float:
        """Mean squared error on the N − n patterns that are not learnt from; ``ridge`` is over tr K/N.

        Raises:
            ValueError: see ``omniscient.risk``.
        """
        found = risk(self.eigenvalues, self.coefficients, n, k=k, ridge=ridge * self.trace)
        return unseen(found, n, self.size)

    @property
    def trace(self) -> float:
        """The mean diagonal, tr K/N."""
        return float(np.trace(self.kernel)) / self.size

    def measured(self, n: int, rng: np.random.Generator, *, ridge: float = 0.0, k: float = math.inf) -> float:
        """The same error of one regression, on n patterns that are drawn, with k Gaussian features of the kernel.

        Raises:
            ValueError: a kernel that is singular on them without a ridge.
        """
        order = rng.permutation(self.size)
        kernel = self.kernel if math.isinf(k) else self._featured(int(k), rng)
        seen, other = order[:n], order[n:]
        train, y = kernel[np.ix_(seen, seen)], torch.from_numpy(self.y[seen])
        onto = torch.from_numpy(kernel[np.ix_(other, seen)])[None]
        relative = ridge * self.trace / float(np.trace(train) / n)
        found = kernel_regression(torch.from_numpy(train)[None], onto, y, ridge=relative)[0].numpy()
        return float(np.mean((found - self.y[other]) ** 2))

    def _featured(self, k: int, rng: np.random.Generator) -> np.ndarray:
        """ψψᵀ/k with k features that are Gaussian processes with this kernel, (N, N)."""
        features = self.vectors * np.sqrt(self.eigenvalues * self.size) @ rng.standard_normal((self.size, k))
        return features @ features.T / k

    @property
    def tails(self) -> tuple[float, float]:
        """Exponents a and b of λᵢ ~ i^−a and vᵢ² ~ i^−b, by least squares; b from what is left of y beyond i, i^(1−b).

        Single vᵢ² scatter as χ² does; their sum does not.
        """
        first, last = (max(2, round(share * self.size)) for share in RANKS)
        rank = np.arange(first, last)
        left = self.coefficients[::-1].cumsum()[::-1]
        known = rank[self.eigenvalues[rank] > 0]
        if len(known) < 2:
            return math.nan, math.nan
        # The first mode is 1; what is left from mode i on is an integral from i − ½.
        a, b = (
            np.polyfit(np.log(known + shift), np.log(part[known]), 1)[0]
            for part, shift in ((self.eigenvalues, 1), (left, 0.5))
        )
        return float(-a), float(1 - b)


@dataclass(frozen=True)
class Point:
    """A point of a learning curve.

    Attributes:
        n: patterns that are learnt from.
        ridge: over tr K/N.
        k: features.
        theory: mean over runs.
        measured: mean over runs and draws; its error is over runs, or of a single one over draws.
        ratio: the one over the other, likewise.
    """

    n: int
    ridge: float
    k: float
    theory: float
    measured: Estimate
    ratio: Estimate


def curve(
    populations: Sequence[Population],
    sizes: Sequence[int],
    *,
    ridges: Sequence[float] = (0.0,),
    features: Sequence[float] = (math.inf,),
    draws: int = 8,
    seed: int = 0,
) -> Iterator[Point]:
    """Regression beside theory, for the kernels of several runs on as many patterns.

    Raises:
        StoreError: more patterns to learn from than half of those that there are.
        ConfigError: as many features as patterns, or fewer, without a ridge; or a kernel that is singular without one.
    """
    size = min(one.size for one in populations)
    if max(sizes) > MOST * size:
        raise StoreError(
            f"--n {max(sizes)}: of {size} patterns at most half can be learnt from; take fewer, or runs with a larger "
            "observe.kernel.probe."
        )
    for n in sizes:
        for ridge in ridges:
            for k in features:
                try:
                    yield _point(populations, n, ridge, k, draws, seed)
                except ValueError as error:
                    raise ConfigError(f"--n {n} --ridge {ridge:g} --k {k:g}: {error}") from error


def _point(populations: Sequence[Population], n: int, ridge: float, k: float, draws: int, seed: int) -> Point:
    theory = np.array([one.theory(n, ridge=ridge, k=k) for one in populations])
    found = np.array(
        [
            [one.measured(n, stream(seed, "learning curve", str(i), str(j)), ridge=ridge, k=k) for j in range(draws)]
            for i, one in enumerate(populations)
        ]
    )
    return Point(n, ridge, k, float(theory.mean()), over(found), over(found / theory[:, None]))


def over(values: np.ndarray) -> Estimate:
    """Mean of values (runs, draws), its error over runs, or over the draws of a single one."""
    each = values.mean(1) if len(values) > 1 else values[0]
    return estimate(lambda weights: weights @ each / weights.sum(1), len(each))


def populations(runs: Sequence[Run], kernel: str, data: Path | None = None) -> list[Population]:
    """The kernels of runs on test patterns: stored ones of each run, or the limit, which they have in common.

    ``data`` is where the files of their data lie, of runs that have any.

    Raises:
        StoreError: runs without stored kernels, or with several outputs.
        ConfigError: see ``limit``.
    """
    if kernel not in KERNELS:
        raise ConfigError(f"--kernel {kernel}: must be one of {', '.join(KERNELS)}.")
    if kernel in ("start", "end"):
        return [stored(run, kernel) for run in runs]
    return [limit(runs[0], kernel.removeprefix("infinite_"), data=data)]


def stored(run: Run, when: str) -> Population:
    """Θ of the probe set at the start or the end of a run, with the labels there.

    Raises:
        StoreError: it is not stored, or is of several outputs.
    """
    theta = run.outputs.get(f"theta_{when}")
    if theta is None:
        raise StoreError(
            f"The run {run.path} has no kernel matrices: train it with observe.kernel.matrices=true and a large "
            "observe.kernel.probe, or take --kernel infinite_ntk."
        )
    y = run.outputs["y_test"][: len(theta)]
    if len(y) != len(theta) or y.dtype.kind != "f":
        raise StoreError(f"The run {run.path} has several outputs; learning curves here are of one.")
    return Population.of(theta, y)


def limit(run: Run, which: str = "ntk", *, whole: bool = False, data: Path | None = None) -> Population:
    """The kernel of infinite width of a run's network on its test patterns, or ``whole``: on those it trains on too.

    Raises:
        ConfigError: a network whose limit is not known or that is not in the NTK parametrisation, data that need code
            of the user's own, which analysis does not run, or several outputs.
    """
    config = stored_config(run.config, data)
    if not config.architecture.infinite or config.dataset.own_labels or targets(config):
        raise ConfigError(f"{run.path}: the network's limit is not known, or its data need code of the user's own.")
    if config.parametrisation.exponents is not NTK:
        raise ConfigError(f"{run.path}: its parametrisation is not ntk, so that its limit is another one.")
    if which == "ntk" and not config.leaves("prior"):
        raise ConfigError(f"{run.path}: its prior gives each network a kernel of its own.")
    if which == "ntk" and config.activation.by_surrogate:
        raise ConfigError(f"{run.path}: the kernel of surrogate gradients is not symmetric, and has no such spectrum.")
    batch = build(config)
    network, patterns = batch.architecture, batch.dataset
    if patterns.n_outputs > 1:
        raise ConfigError(f"{run.path}: it has {patterns.n_outputs} outputs; learning curves here are of one.")
    x, y = (patterns.x_train, patterns.x_test), (patterns.y_train, patterns.y_test)
    x, y = (torch.cat(x), torch.cat(y)) if whole else (x[1], y[1])
    return Population.of(getattr(limit_kernels(network, x.double()), which).numpy(), y.numpy())


def optimal_fit(population: Population) -> float | None:
    """R*, train over test error at the best ridge that the tails foretell; None where they are no power laws."""
    a, b = population.tails
    return fitting_ratio(a, b) if a > 1 and b > 1 else None
