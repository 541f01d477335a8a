"""Baseline ``student_t``: the Student-t process of networks whose outputs have a scale of an inverse gamma law."""

from __future__ import annotations

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


@option("baseline", "student_t")
class StudentProcess(Baseline):
    """Posterior of F | s ~ GP(0, sK) with s ~ InvGamma(a, b), at α = 1 (arXiv:2107.01408).

    Student's t of 2a + P degrees of freedom with the mean of the Gaussian process, whose variance is multiplied by
    (b/a)·(2a + (a/b)·yᵀK⁻¹y)/(2a + P): how large the labels are says how large s is. Noise has the scale s too.
    """

    a: float = key(0.0, "a of the prior; 0: the runs' own", ge=0)
    b: float = key(0.0, "b of the prior; 0: the runs' own", ge=0)
    ridge: float = key(0.0, "variance of noise over s and the mean diagonal of the kernel", ge=0)

    def problems(self, config: Config) -> Iterator[str]:
        if not (self.a and self.b) and config.prior.kind != "inverse_gamma":
            yield f"student_t: the runs have prior={config.prior.kind}, and not inverse_gamma; give --a and --b."

    def settled(self, config: Config, t: float) -> Self:
        return replace(self, a=self.a or getattr(config.prior, "a", 0.0), b=self.b or getattr(config.prior, "b", 0.0))

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        from feature_lazy.kernels.regression import kernel_regression

        if task.targets.dim() > 1:
            raise ConfigError("student_t: the posterior of several outputs with one scale is not known; take krr.")
        y, onto = kernels.flat(task.targets), kernels.test_train
        rows, columns = torch.cat([onto, y[None]]), torch.cat([y[:, None], onto.mT], dim=1)
        found = kernel_regression(kernels.train[None], rows[None], columns, ridge=self.ridge)[0]
        left = kernels.test_diagonal - found[:-1, 1:].diagonal()
        freedom = 2 * self.a + kernels.n
        shape = self.b / self.a * (2 * self.a + self.a / self.b * found[-1, 0]) / freedom * left
        return Prediction(kernels.unflat(found[:-1, 0]), shape * freedom / (freedom - 2), freedom=freedom)
