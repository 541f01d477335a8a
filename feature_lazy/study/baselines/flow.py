"""Baseline ``flow``: gradient flow of the runs' own loss under a fixed kernel, to their own stop rule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config
    from feature_lazy.study.baselines.kernels import KernelSet


@option("baseline", "flow")
class Flow(Baseline):
    """F where dF/dt = −(1/P) Θ ∂ℓ/∂F, from F = 0, has fit every training pattern: the lazy limit of the runs."""

    def problems(self, config: Config) -> Iterator[str]:
        if config.regulariser.kind != "none":
            yield "flow: there is a regulariser, under which not every pattern is fit; take krr or svm."

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        from feature_lazy.study.infinite_width import flow_end

        if kernels.initial is not None:
            raise ConfigError(
                "flow: it begins at F = 0, and these networks do not; take krr, or runs with centred=true."
            )
        weights, t_stop = flow_end(kernels.train, task.labels.double(), task.loss)
        return Prediction(kernels.onto_tests(weights), scalars={"t_stop": t_stop})
