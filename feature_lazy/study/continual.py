"""Tasks that come one after the other, each with a kernel classifier on a coreset that is stored or generated.

Derakhshani, Zhen, Shao and Snoek 2021 (arXiv:2112.13410). Task t is classes 2t and 2t + 1, and which task a pattern is
of is known. What is kept of a class are some of its patterns, or a generator of it, from which patterns are drawn: here
a Gaussian mixture in its first principal components. Each class has its own, so that what comes later changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.data.prepare import Dataset
from feature_lazy.data.whitening import scaled_to_sphere
from feature_lazy.kernels import kernel_regression
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.kernels import Between, KernelSet

RIDGE = 1e-2
"""Over the mean diagonal of the kernel."""
ROUND = 1e-6
"""How far norms of patterns that lie on their sphere may be from it."""


@dataclass(frozen=True)
class Generator:
    """A Gaussian mixture with diagonal covariances in the principal components of a class.

    Attributes:
        axes: the principal components.
        mixture: of what patterns are there.
        on_sphere: whether patterns have |x|² = d, so that what is drawn is scaled to it.
    """

    axes: PCA
    mixture: GaussianMixture
    on_sphere: bool

    @classmethod
    def fit(cls, x: np.ndarray, *, components: int, dimensions: int) -> Generator:
        """Of patterns (n, d).

        Raises:
            ConfigError: more components or dimensions than there are patterns, or than d.
        """
        n, d = x.shape
        if components > n:
            raise ConfigError(f"{components} components: a class has {n} training patterns; take as many at most.")
        if dimensions > min(n, d):
            raise ConfigError(
                f"{dimensions} dimensions: a class has {n} training patterns of {d} numbers; take the lesser at most."
            )
        axes = PCA(dimensions, svd_solver="full").fit(x)
        mixture = GaussianMixture(components, covariance_type="diag", random_state=0).fit(axes.transform(x))
        return cls(axes, mixture, bool(np.allclose(np.square(x).mean(1), 1, atol=ROUND)))

    @property
    def numbers(self) -> int:
        """How many numbers it is: of the mixture, of its axes and of their origin."""
        size, dimensions = self.mixture.means_.shape
        return size * (2 * dimensions + 1) + self.axes.components_.size + self.axes.mean_.size

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Patterns (n, d)."""
        of = random.choice(len(self.mixture.weights_), n, p=self.mixture.weights_)
        spread = np.sqrt(self.mixture.covariances_[of]) * random.standard_normal((n, self.axes.n_components_))
        x = self.axes.inverse_transform(self.mixture.means_[of] + spread)
        return scaled_to_sphere(x, "Pattern {} that was drawn is 0") if self.on_sphere else x


@dataclass(frozen=True)
class Continual:
    """Tasks of a run's data with a kernel of it.

    Attributes:
        between: K of any patterns, a number for each pair.
        train: training patterns of each class, (n, d).
        test: test patterns of each class.
        ridge: of the classifiers, over the mean diagonal of their kernel.
    """

    between: Between
    train: list[Tensor]
    test: list[Tensor]
    ridge: float = RIDGE

    @cached_property
    def _generators(self) -> dict[tuple[int, int], list[Generator]]:
        return {}

    def generators(self, components: int, dimensions: int) -> list[Generator]:
        """One for each class.

        Raises:
            ConfigError: see ``Generator.fit``.
        """
        key = components, dimensions
        if key not in self._generators:
            fitted = [Generator.fit(x.numpy(), components=components, dimensions=dimensions) for x in self.train]
            self._generators[key] = fitted
        return self._generators[key]

    def stored(self, size: int, random: np.random.Generator) -> list[Tensor]:
        """Some of the training patterns of each class.

        Raises:
            ConfigError: more than there are.
        """
        least = min(len(x) for x in self.train)
        if size > least:
            raise ConfigError(f"{size} stored patterns a class: one has {least} training patterns; take fewer.")
        return [x[torch.from_numpy(random.choice(len(x), size, replace=False))] for x in self.train]

    def generated(self, size: int, generators: Sequence[Generator], random: np.random.Generator) -> list[Tensor]:
        """Patterns of each class that were drawn."""
        return [torch.from_numpy(one.draw(size, random)) for one in generators]

    def accuracy(self, coresets: Sequence[Tensor]) -> float:
        """Mean over tasks of the fraction of test patterns with the right class, by ridge regression on a coreset.

        Args:
            coresets: patterns of each class.

        Raises:
            ValueError: a kernel that is singular.
        """
        found = []
        for t in range(0, len(coresets) - 1, 2):
            (x, y), (tests, wanted) = (_task(sets[t : t + 2]) for sets in (coresets, self.test))
            k, onto = self.between(x, None), self.between(tests, x)
            f = kernel_regression(k[None], onto[None], y, ridge=self.ridge)[0]
            found.append(float((f * wanted > 0).double().mean()))
        return float(np.mean(found))


def _task(classes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Patterns of two classes, and +1 for the first, −1 for the second."""
    first, second = (len(x) for x in classes)
    return torch.cat(list(classes)), torch.cat([torch.ones(first), -torch.ones(second)]).double()


def continual(run: Run, kernel: str, *, ridge: float = RIDGE, bench: Bench | None = None) -> Continual:
    """The tasks of a run's data, with one of its kernels (``baselines``).

    A kernel over C outputs is the mean of those of each output.

    Raises:
        ConfigError: data without classes, or with one.
        FeatureLazyError: see ``Bench.ready``.
    """
    kernels, _, data = (bench or Bench()).ready(run, kernel)
    return Continual(_summed(kernels), *_by_class(data, run), ridge)


def _summed(kernels: KernelSet) -> Between:
    c = kernels.outputs

    def between(x1: Tensor, x2: Tensor | None) -> Tensor:
        k = kernels.between(x1.to(kernels.x_train), None if x2 is None else x2.to(kernels.x_train)).double()
        blocks = k.reshape(len(k) // c, c, -1, c)
        return blocks.diagonal(dim1=1, dim2=3).mean(-1)

    return between


def _by_class(data: Dataset, run: Run) -> tuple[list[Tensor], list[Tensor]]:
    """Training and test patterns of each class.

    Raises:
        ConfigError: there are no two classes.
    """
    classes = data.classes_train, data.classes_test
    if classes[0] is None or classes[1] is None or int(classes[0].max()) < 1:
        raise ConfigError(f"{run.path}: tasks are pairs of classes, and its data have none; take images of digits.")
    count = int(classes[0].max()) + 1
    sets = zip((data.x_train, data.x_test), classes, strict=True)
    train, test = ([x.double()[c == k] for k in range(count)] for x, c in sets)
    return train, test


@dataclass(frozen=True)
class Coreset:
    """What is kept of each class, and how many patterns its classifiers learn from.

    Attributes:
        size: patterns of each class.
        mixture: components and dimensions of its generator; None where the patterns themselves are stored.
    """

    size: int
    mixture: tuple[int, int] | None = None

    def memory(self, tasks: Continual) -> float:
        """Numbers that are kept of a class, over those of a pattern.

        Raises:
            ConfigError: see ``Generator.fit``.
        """
        if self.mixture is None:
            return float(self.size)
        return tasks.generators(*self.mixture)[0].numbers / tasks.train[0].shape[1]

    def accuracies(self, tasks: Continual, run: Run, draws: int) -> np.ndarray:
        """Mean accuracy over tasks, for each draw of the patterns: (draws,).

        Raises:
            ConfigError: more patterns than a class has, or see ``Generator.fit``.
            ValueError: see ``Continual.accuracy``.
        """
        found, data = [], str(run.config.get("dataset", {}).get("seed", 0))
        for number in range(draws):
            random = stream(int(run.columns.get("seed", 0)), "continual", data, str(number))
            if self.mixture is None:
                patterns = tasks.stored(self.size, random)
            else:
                patterns = tasks.generated(self.size, tasks.generators(*self.mixture), random)
            found.append(tasks.accuracy(patterns))
        return np.array(found)
