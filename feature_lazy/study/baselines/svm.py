"""Baseline ``svm``: the soft-margin support vector machine without intercept on a kernel."""

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

HINGES = ("hinge", "soft_hinge")
SUPPORT = 1e-6
"""Weights above this fraction of the largest count: others are 0 up to the solver's tolerance."""


@option("baseline", "svm")
class SupportVectors(Baseline):
    """F = Θa with the a that minimises (λ/2) aᵀΘa + (1/P) Σ max(0, 1 − y·Θa) (arXiv:2111.06063).

    Where lazy networks under regulariser=distance come to rest with the hinge loss. Of classes one against the rest.
    """

    strength: str = key("auto", "λ > 0; auto: the runs' regulariser.strength")

    def problems(self, config: Config) -> Iterator[str]:
        if config.loss.kind not in HINGES:
            yield f"svm: loss={config.loss.kind} is no hinge, whose minimum it is; take krr, or loss=soft_hinge."
        if self.strength == "auto" and config.regulariser.kind != "distance":
            yield (
                f"svm strength=auto: the runs have regulariser={config.regulariser.kind}, and not distance, whose λ it "
                "takes; give --strength."
            )

    def settled(self, config: Config, t: float) -> Self:
        own = getattr(config.regulariser, "strength", None)
        return replace(self, strength=repr(own) if self.strength == "auto" and own is not None else self.strength)

    @property
    def rate(self) -> float:
        """λ.

        Raises:
            ConfigError: no number above 0.
        """
        try:
            rate = float(self.strength)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise ConfigError(f"svm strength={self.strength}: must be a number greater than 0, or auto.")
        return rate

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        from feature_lazy.kernels.support import support_weights

        if kernels.outputs > 1:
            raise ConfigError("svm: of several outputs it takes the kernel of one; take an infinite one.")
        if kernels.initial is not None:
            raise ConfigError("svm: its F begins at 0, and that of these networks does not; use centred=true.")
        if task.targets.dim() == 1:
            if not bool((task.labels.abs() == 1).all()):
                raise ConfigError("svm: the labels are not ±1.")
            a = support_weights(kernels.train, task.labels.double(), self.rate)
            share = float((a.abs() > SUPPORT * a.abs().max()).double().mean())
            return Prediction(kernels.onto_tests(a), scalars={"support": share, "norm": float(a @ kernels.train @ a)})
        signs = torch.where(task.targets > 0, 1.0, -1.0).double()
        return Prediction(
            kernels.onto_tests(torch.stack([support_weights(kernels.train, y, self.rate) for y in signs.mT], 1))
        )
