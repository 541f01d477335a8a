"""Baseline ``krr``: kernel ridge regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.study.baselines.kernels import KernelSet


@option("baseline", "krr")
class RidgeRegression(Baseline):
    """F = K_test,train (K + λI)⁻¹ y, λ = ridge·tr K/P; on Σ∞ the mean of the posterior whose noise has variance λ.

    In memory, or by blocks of columns in a file where P² does not fit memory_limit (float64 alone).
    """

    ridge: float = key(1e-6, "λ over the mean diagonal of the kernel", ge=0)
    dtype: str = key("float64", "what it is computed in", choices=("float64", "float32"))

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        from feature_lazy.core.errors import ConfigError
        from feature_lazy.kernels.blocked import blocked_weights
        from feature_lazy.kernels.regression import kernel_regression

        y = kernels.flat(task.targets)
        if kernels.fits:
            k = kernels.train, kernels.test_train
            found = kernel_regression(k[0][None], k[1][None], y, ridge=self.ridge, dtype=getattr(torch, self.dtype))
            return Prediction(kernels.unflat(found[0].double()))
        if self.dtype != "float64":
            raise ConfigError(f"krr dtype={self.dtype}: {kernels.too_large}; use float64, which goes by blocks.")
        limit, scratch = kernels.memory_limit, kernels.scratch
        weights = blocked_weights(kernels.block, y, ridge=self.ridge, memory_limit=limit, scratch=scratch)
        return Prediction(kernels.unflat(kernels.onto_tests(weights)))
