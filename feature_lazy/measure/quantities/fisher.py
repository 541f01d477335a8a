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
MIDDLE = "middle_batch_norm"
KNOWN = ("none", "last_mean", "last_batch_norm", "last_layer_norm", MIDDLE)


@option("observe/also", "fisher")
class FisherOfOutputs(Observable):
    """λ_max of the Fisher matrix (1/T) Σ_t Σ_k ∇f_k∇f_kᵀ of T training patterns, by its dual F* = Θ/T.

    With outputs normalised after the last layer too, through the mean and the standard deviation: of each output over
    the T patterns (``last_mean``, ``last_batch_norm``), or of each pattern over its outputs (``last_layer_norm``). The
    article's Θ is that of weights N(0, 1): the paper's matrix is the one of parametrisation=standard, and in ntk all
    values are about h times smaller. ``middle_batch_norm`` is of another function of the same weights, with the
    preactivations of hidden layers normalised over the T patterns: of a fully connected network, and at t = 0 alone.
    """

    every: int = key(10, "at every how many observations, the first and the last always", ge=1)
    patterns: int = key(100, "T, the first training patterns", ge=2, at_most="dataset.n_train")
    normalisations: list[str] = key(
        ["none", "last_mean", "last_batch_norm"], f"of the outputs: some of {', '.join(KNOWN)}"
    )

    by_surrogate = False
    quantities: ClassVar[Any] = {
        "fim/lambda_max": Quantity(LABEL, where=WHERE, theme=CURVATURE),
        **{
            f"fim/lambda_max/{name}": Quantity(f"{LABEL}, {words}", where=WHERE, theme=CURVATURE)
            for name, words in (
                ("last_mean", "outputs without their mean"),
                ("last_batch_norm", "outputs under batch norm"),
                ("last_layer_norm", "outputs under layer norm"),
                (MIDDLE, "hidden layers under batch norm"),
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
        if MIDDLE in self.normalisations and config.architecture.kind != "fully_connected":
            yield (
                f"{path}: {MIDDLE} is of the hidden layers of architecture=fully_connected, and this one is "
                f"{config.architecture.kind}; leave it out."
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
            largest = (
                _in_the_middle(moment, x)
                if name == MIDDLE
                else largest_eigenvalue(normalised_kernel(theta, f, c, name))
            )
            found[column] = largest / len(x)
        return found


def _in_the_middle(moment: Moment, x: Tensor) -> Tensor:
    """λ_max of Θ under batch norm of hidden layers, (M,), NaN of a state that is not at t = 0."""
    from feature_lazy.kernels.normalisation import middle_largest
    from feature_lazy.networks.fully_connected import FullyConnected

    net, start = moment.setting.flow.architecture, moment.t == 0
    found = moment.weights.new_full((len(moment),), float("nan"))
    if bool(start.any()):
        assert isinstance(net, FullyConnected)  # others are refused
        found[start] = middle_largest(net, moment.weights[start], x)
    return found
