"""Observable ``features``: how far the hidden layers move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass
class OfFeatures(Observable):
    """What is measured of features of known layers, which move."""

    probe: int = key(128, "test patterns of the probe set: the first ones", ge=1, at_most="dataset.n_test")

    def problems(self, config: Config) -> Iterator[str]:
        if config.architecture.hidden_layers is None:
            yield f"observe/also=[{self.kind}]: the layers of architecture={config.architecture.kind} are not known."

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: the network is linearised: its features stay, by definition.
        """
        from feature_lazy.dynamics.model import NetworkModel

        if not isinstance(moment.setting.model, NetworkModel):
            raise ConfigError(
                f"observe/also=[{self.kind}]: a linearised network has the features of t = 0; leave it out."
            )


@option("observe/also", "features")
class Features(OfFeatures):
    """Change of each layer's preactivations z on a probe set, ‖z − z₀‖/‖z₀‖: small where training is lazy."""

    quantities: ClassVar[Any] = {
        "features/*/change": Quantity("change of a layer's preactivations ‖z − z₀‖/‖z₀‖", theme=WEIGHTS)
    }

    def begin(self, moment: Moment) -> None:
        super().begin(moment)
        self._z0 = preactivations(moment, self.probe)

    def at(self, moment: Moment) -> dict[str, Tensor]:
        found = {}
        for name, z in preactivations(moment, self.probe).items():
            z0 = self._z0[name][moment.member]
            found[f"features/{name}/change"] = (z - z0).flatten(1).norm(dim=1) / z0.flatten(1).norm(dim=1)
        return found


def preactivations(moment: Moment, probe: int) -> dict[str, Tensor]:
    """The z of each weight, the output's included, (M, patterns, …); a bias moves the z of its weight."""
    net = moment.setting.flow.architecture
    taps = net.taps(net.layout.unflatten(moment.weights), moment.probe(probe))[1]  # type: ignore[attr-defined]
    return {tap.name: tap.preactivations.detach() for tap in taps if not tap.name.startswith("B")}


@option("observe/also", "hidden_cka")
class HiddenCka(Features):
    """Centred alignment of each hidden layer with itself at t = 0: linear CKA of its preactivations on a probe set.

    ⟨HKH, HK₀H⟩_F/(‖HKH‖_F‖HK₀H‖_F) with K = zzᵀ and H = I − 11ᵀ/P (Kornblith et al. 2019, arXiv:1905.00414): 1 as long
    as z is only rotated, scaled and shifted.
    """

    probe: int = key(128, "test patterns of the probe set: the first ones", ge=2, at_most="dataset.n_test")

    quantities: ClassVar[Any] = {
        "hidden_cka/*": Quantity("CKA of a layer with itself at t = 0", scale="linear", where="arXiv:1905.00414")
    }

    def at(self, moment: Moment) -> dict[str, Tensor]:
        from feature_lazy.kernels.description import centred_alignment

        last = moment.setting.flow.architecture.layout.last
        found = {}
        for name, z in preactivations(moment, self.probe).items():
            if name not in last:
                now, then = (one.flatten(2) @ one.flatten(2).mT for one in (z, self._z0[name][moment.member]))
                found[f"hidden_cka/{name}"] = centred_alignment(now, then)
        return found
