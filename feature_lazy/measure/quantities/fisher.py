"""Observable ``fisher``: the sharpest direction of the network's outputs, and what normalising them makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantities.curvature import CURVATURE
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

WHERE = "arXiv:1906.02926"
LABEL = "largest eigenvalue of the Fisher matrix"
HELD = 4
"""Copies of Θ that are held at a time: it, the normalised one, and what finds its eigenvalues."""
KNOWN = ("none", "last_mean", "last_batch_norm", "last_layer_norm")


@option("observe/also", "fisher")
class FisherOfOutputs(Observable):
    """λ_max of the Fisher matrix (1/T) Σ_t Σ_k ∇f_k∇f_kᵀ of T training patterns, by its dual F* = Θ/T.

    With outputs normalised after the last layer too, through the mean and the standard deviation: of each output over
    the T patterns (``last_mean``, ``last_batch_norm``), or of each pattern over its outputs (``last_layer_norm``). The
    article's Θ is that of weights N(0, 1): the paper's matrix is the one of parametrisation=standard, and in ntk all
    values are about h times smaller.
    """

    every: int = key(10, "at every how many observations, the first and the last always", ge=1)
    patterns: int = key(100, "T, the first training patterns", ge=2, at_most="dataset.n_train")
    normalisations: list[str] = key(
        ["none", "last_mean", "last_batch_norm"], f"of the outputs: some of {', '.join(KNOWN)}"
    )

    quantities: ClassVar[Any] = {
        "fim/lambda_max": Quantity(LABEL, where=WHERE, theme=CURVATURE),
        **{
            f"fim/lambda_max/{name}": Quantity(f"{LABEL}, {words}", where=WHERE, theme=CURVATURE)
            for name, words in (
                ("last_mean", "outputs without their mean"),
                ("last_batch_norm", "outputs under batch norm"),
                ("last_layer_norm", "outputs under layer norm"),
            )
        },
    }

    def problems(self, config: Config) -> Iterator[str]:
        path = "observe.also.fisher.normalisations"
        if unknown := [name for name in self.normalisations if name not in KNOWN]:
            yield f"{path}=[{','.join(self.normalisations)}]: there is no {unknown[0]!r}; there are {', '.join(KNOWN)}."
        if not self.normalisations:
            yield f"{path}=[]: nothing would be recorded; name some of {', '.join(KNOWN)}, or leave the observable out."
        if "last_layer_norm" in self.normalisations and not config.labels.several:
            yield (
                f"{path}: last_layer_norm is over the outputs of a pattern, and labels={config.labels.kind} has one; "
                "use labels=classes with three classes or more."
            )

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: layer norm of too few outputs, or kernels that do not fit the memory limit.
        """
        from feature_lazy.kernels.normalisation import LEAST_OUTPUTS

        data, setting = moment.setting.data, moment.setting
        c = data.n_outputs
        if "last_layer_norm" in self.normalisations and c < LEAST_OUTPUTS:
            raise ConfigError(
                f"observe.also.fisher.normalisations: last_layer_norm of {c} outputs leaves their order alone; use "
                "three classes or more."
            )
        rows = min(self.patterns, len(data.x_train)) * c
        needed = HELD * len(moment) * rows**2 * moment.weights.element_size()
        if needed > setting.model.memory_limit:
            raise ConfigError(
                f"observe/also=[fisher]: kernels of {rows} outputs of {len(moment)} networks take {needed:.2g} bytes, "
                "more than memory_limit; raise it, or lower observe.also.fisher.patterns."
            )

    def at(self, moment: Moment) -> dict[str, Tensor]:
        """See ``Observable.at``; NaN of a member that has diverged, or whose outputs are all equal."""
        from feature_lazy.kernels.normalisation import largest_eigenvalue, normalised_kernel

        x, c = moment.setting.data.x_train[: self.patterns], moment.setting.data.n_outputs
        theta, f = moment.kernel(x), moment.f(x)
        found = {}
        for name in self.normalisations:
            column = "fim/lambda_max" if name == "none" else f"fim/lambda_max/{name}"
            found[column] = largest_eigenvalue(normalised_kernel(theta, f, c, name)) / len(x)
        return found
