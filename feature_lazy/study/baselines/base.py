"""A baseline: what is fit to a run's training set with a kernel, in the place of its network. You write these."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from feature_lazy.core.statistics import LEVEL
from feature_lazy.settings.groups import Option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config
    from feature_lazy.settings.groups import Loss
    from feature_lazy.study.baselines.kernels import KernelSet


@dataclass(frozen=True)
class Task:
    """What is learnt.

    Attributes:
        targets: what a least squares fit aims at, c·y of loss=mse, else y: (P,), or a column for each class, (P, C).
        labels: y as the data have it, (P,).
        loss: of the runs.
        held_out: validation patterns, (P_valid, d), and what least squares would aim at there; None: there are none.
    """

    targets: Tensor
    labels: Tensor
    loss: Loss
    held_out: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Prediction:
    """What a baseline says of the test patterns.

    Attributes:
        F_test: (P_test,) or (P_test, C).
        variance: of F over initial weights at α = 1, (P_test,); None where there is none.
        scalars: numbers by name.
        freedom: degrees of freedom of Student's t, which (F − mean) over its scale has; ∞: it is Gaussian.
    """

    F_test: Tensor
    variance: Tensor | None = None
    scalars: dict[str, float] = field(default_factory=dict)
    freedom: float = math.inf

    def log_loss(self, y: Tensor) -> Tensor:
        """−ln of the density of F at y (P_test,), in nats: (P_test,); NaN where F has no variance."""
        import torch

        assert self.variance is not None
        squares = (y - self.F_test).square() / self.variance
        if math.isinf(self.freedom):
            return (squares + (2 * math.pi * self.variance).log()) / 2
        nu = torch.tensor(self.freedom, dtype=torch.float64)
        size = torch.lgamma(nu / 2) - torch.lgamma((nu + 1) / 2) + (math.pi * (nu - 2) * self.variance).log() / 2
        return size + (nu + 1) / 2 * (squares / (nu - 2)).log1p()

    def covered(self, y: Tensor) -> Tensor:
        """Whether y (P_test,) lies in the central interval that holds F with 95 %: (P_test,)."""
        from scipy.special import ndtri, stdtrit

        assert self.variance is not None
        place = (1 + LEVEL) / 2
        if math.isinf(self.freedom):
            wide = float(ndtri(place))
        else:  # the variance of Student's t is ν/(ν − 2)
            wide = float(stdtrit(self.freedom, place)) * math.sqrt((self.freedom - 2) / self.freedom)
        return (y - self.F_test).abs() <= wide * self.variance.sqrt()


@dataclass
class Baseline(Option):
    """A predictor on a fixed kernel, ``@option("baseline", name)``.

    You write these: keys as fields, each a flag of ``feature-lazy baselines``; ``fit``; and ``problems`` for runs that
    it says nothing of. What ``version`` counts is part of what a stored prediction is known by.
    """

    asymmetric = False
    """Whether it takes a kernel whose K(x, x′), of x that is asked and x′ that is learnt from, is not K(x′, x)."""

    def settled(self, config: Config, t: float) -> Self:
        """The same with values that follow a run, such as ``auto``, replaced by the run's own.

        Args:
            config: of the run.
            t: where its training ended.
        """
        return self

    def remarks(self, config: Config, kernel: str) -> Iterator[str]:
        """Sentences on what its predictions beside a run are not, for who reads them."""
        return iter(())

    @abstractmethod
    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        """Learn the training set, and predict the test set.

        Raises:
            ConfigError: a kernel or a task that it is not for, or that does not fit memory.
            ValueError: numbers that it cannot do this with.
        """
