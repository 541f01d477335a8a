"""Observable ``init``: what other initialisations of a run's network have in common, and by how much they differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantity import Quantity
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

WHERE, THEME = "arXiv:2106.10165", "Initialisation"


@option("observe/also", "init")
class Initial(Observable):
    """Moments over initialisations of the run's network, for its first training pattern, as init-check has them.

    A run of seed s draws the seeds s·n … s·n + n − 1, so that runs of several seeds tell the error.
    """

    seeds: int = key(200, "n, initialisations", ge=2)
    kernel: bool = key(True, "the kernel too")
    drift: bool = key(False, "and how fast it begins to move, of an activation without kinks")

    by_surrogate = False
    quantities: ClassVar[Any] = {
        "init/variance": Quantity("variance of f over initialisations", where=WHERE, theme=THEME),
        "init/kurtosis": Quantity("excess kurtosis of f over initialisations", where=WHERE, theme=THEME),
        "init/kernel": Quantity("mean of Θ(x, x) over initialisations", where=WHERE, theme=THEME),
        "init/kernel_spread": Quantity("Var Θ/(E Θ)² over initialisations", where=WHERE, theme=THEME),
        "init/kernel_drift": Quantity("rms of ∇Θ·∇f/Θ^{3/2} over initialisations", where=WHERE, theme=THEME),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["observe.also.init.seeds=4"]

    def problems(self, config: Config) -> Iterator[str]:
        network = config.architecture
        gaussian = network.kind == "fully_connected" and getattr(network, "readout", "") == "gaussian"
        if not gaussian or config.parametrisation.exponents is not NTK:
            yield (
                "observe/also=[init]: theory is of architecture=fully_connected with readout=gaussian, in "
                "parametrisation=ntk; use those, or leave it out."
            )
        if not config.leaves("prior"):
            yield f"observe/also=[init]: the initialisations are those of prior=fixed, not {config.prior.kind}; use it."
        if self.drift and not config.activation.smooth:
            yield (
                f"observe.also.init.drift=true: activation={config.activation.kind} has a kink, where the kernel has "
                "no gradient; use a smooth one, or false."
            )

    def end(self, moment: Moment) -> dict[str, Tensor]:
        from feature_lazy.measure.initial import checkable, initialisations, kurtosis, mean, of_all, rms, spread

        first = moment.setting.seeds[int(moment.member[0])] * self.seeds
        net, x = checkable(moment.setting.flow.architecture), moment.setting.data.x_train[:1]
        seeds = range(first, first + self.seeds)
        found = initialisations(net, x, seeds, kernel=self.kernel, drift=self.drift)
        numbers = {
            "init/variance": (mean, found.variances[:, -1]),
            "init/kurtosis": (kurtosis, found.variances[:, -1]),
            "init/kernel": (mean, found.kernel),
            "init/kernel_spread": (spread, found.kernel),
            "init/kernel_drift": (rms, found.drift),
        }
        known = {name: of_all(what, values) for name, (what, values) in numbers.items() if values is not None}
        return {name: moment.weights.new_tensor([value]) for name, value in known.items()}
