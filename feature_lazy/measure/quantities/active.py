"""Observable ``active``: the directions of the inputs that a network has come to look along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantities import WEIGHTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

PAPER = "arXiv:2307.05639"


@option("observe/also", "active")
class Active(Observable):
    """The active subspace of a network's metric M of inputs: ΓᵀΓ of Gaussians, W⁰ᵀW⁰ of a fully connected network.

    With eigenvalues λ and eigenvectors v of M, importance of input i is Σ_k λ_k|v_ik|, over the sum of all inputs; 0
    where M is 0. Alignment is the root mean square cosine of the top k eigenvectors with the k directions that the
    target depends on; NaN where the data do not say them.
    """

    inputs: int = key(8, "whose importance is recorded: the first ones", ge=0)

    quantities: ClassVar[Any] = {
        "active/top_share": Quantity("share of the largest eigenvalue of the metric", "linear", "", PAPER, WEIGHTS),
        "active/alignment": Quantity("cosine of the active subspace with the target's", "linear", "", PAPER, WEIGHTS),
        "active/importance_*": Quantity("importance of an input", "linear", "", PAPER, WEIGHTS),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dataset=stripe", "dataset.dim=4"]

    def problems(self, config: Config) -> Iterator[str]:
        if config.architecture.kind in ("cnn", "wide_resnet"):
            yield f"observe/also=[active]: architecture={config.architecture.kind} has no metric of inputs."

    def begin(self, moment: Moment) -> None:
        """Look for the metric, and the directions of the data.

        Raises:
            ConfigError: a network without a metric.
        """
        import torch

        from feature_lazy.networks.base import HasMetric

        if not isinstance(moment.setting.flow.architecture, HasMetric):
            raise ConfigError("observe/also=[active]: the network has no metric of inputs; leave it out.")
        known = moment.setting.data.directions
        self._known = None if known is None else torch.linalg.qr(known.double().mT)[0]

    def at(self, moment: Moment) -> dict[str, Tensor]:
        import torch

        net = moment.setting.flow.architecture
        metric = net.metric(net.layout.unflatten(moment.weights)).detach().double()  # type: ignore[attr-defined]
        fine = metric.isfinite().all(2).all(1)
        values, vectors = torch.linalg.eigh(metric.where(fine[:, None, None], 0.0))
        values, vectors = values.flip(1).clamp(min=0), vectors.flip(2)
        importance = (vectors.abs() * values[:, None, :]).sum(2)
        found = {"active/top_share": _share(values)[:, 0], "active/alignment": self._alignment(vectors)}
        shares = _share(importance)
        found |= {f"active/importance_{i}": shares[:, i] for i in range(min(self.inputs, shares.shape[1]))}
        return {name: one.where(fine, torch.nan) for name, one in found.items()}

    def _alignment(self, vectors: Tensor) -> Tensor:
        if self._known is None:
            return vectors.new_full((len(vectors),), float("nan"))
        k = self._known.shape[1]
        return (vectors[:, :, :k].mT @ self._known.to(vectors)).square().sum((1, 2)).div(k).sqrt()


def _share(values: Tensor) -> Tensor:
    """Each of some numbers ≥ 0 over their sum, (M, n); 0 where that is 0."""
    total = values.sum(1, keepdim=True)
    return (values / total).where(total > 0, 0.0)
