"""Baseline ``majority``: the vote of the training set, whatever the pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.study.baselines.kernels import KernelSet


@option("baseline", "majority")
class Majority(Baseline):
    """The mean target of the training set; of balanced labels that is a tie, which counts as an error."""

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        mean = task.targets.double().mean(0)
        return Prediction(mean.expand(len(kernels.x_test), *mean.shape).clone())
