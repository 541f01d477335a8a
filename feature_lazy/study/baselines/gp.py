"""Baseline ``gp``: the Gaussian process that wide networks are at a time of their training, for mse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config
    from feature_lazy.study.baselines.kernels import KernelSet


@option("baseline", "gp")
class GaussianProcess(Baseline):
    """Mean and variance of F at time t of a gradient flow (arXiv:1902.06720).

    On infinite_nngp only the output layer is trained, and at the end it is the posterior without noise. The variance is
    that over initial weights, of F = αf at α = 1; F = α(f − f₀) and the kernel of one network have none.
    """

    asymmetric = True

    time: str = key("end", "training time t; end: ∞; run: where each run ended")

    def problems(self, config: Config) -> Iterator[str]:
        if config.loss.kind != "mse":
            yield f"gp: with loss={config.loss.kind} the flow is not linear in F, as with mse; take krr or flow."

    def settled(self, config: Config, t: float) -> Self:
        return replace(self, time=repr(float(t)) if self.time == "run" else self.time)

    @property
    def t(self) -> float:
        """The time.

        Raises:
            ConfigError: a text that is none.
        """
        try:
            t = math.inf if self.time == "end" else float(self.time)
        except ValueError:
            t = math.nan
        if not t >= 0:
            raise ConfigError(f"gp time={self.time}: must be a time t ≥ 0, end or run.")
        return t

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        from feature_lazy.kernels.prediction import gp_prediction, mse_prediction

        y, theta = kernels.flat(task.targets), (kernels.train, kernels.test_train)
        at = [self.t * kernels.outputs]  # rows of the kernel are patterns × outputs, and P counts patterns
        if kernels.drawn is None and not kernels.symmetric:
            raise ConfigError("gp: of surrogate gradients it is that of F = αf; take runs with centred=false.")
        if kernels.drawn is None:
            return Prediction(kernels.unflat(mse_prediction(*theta, y, at)[1][0]))
        nngp = kernels.drawn.train, kernels.drawn.test_train, kernels.drawn.test_diagonal
        means, variances = gp_prediction(theta, nngp, y, at, symmetric=kernels.symmetric)
        return Prediction(means[0], variances[0])
