"""Baseline ``nearest``: the labels of the nearest training patterns, as a kernel measures distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.study.baselines.kernels import KernelSet


@option("baseline", "nearest")
class Nearest(Baseline):
    """The mean target of the k training patterns with the least K(x, x) + K(x′, x′) − 2K(x, x′)."""

    k: int = key(1, "how many neighbours", ge=1)

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        if kernels.outputs > 1:
            raise ConfigError("nearest: the kernel of several outputs measures no distance; take an infinite one.")
        if self.k > kernels.n:
            raise ConfigError(f"nearest k={self.k}: there are {kernels.n} training patterns.")
        on_train = kernels.train_diagonal
        found = [
            task.targets[(on_train - 2 * block).topk(self.k, dim=1, largest=False).indices].double().mean(1)
            for block in kernels.test_blocks()
        ]
        return Prediction(torch.cat(found))
