"""Observable ``particles``: single hidden units, which are the same at every width as far as they begin alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import WEIGHTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

PARTICLES, WAY = "particles", "particles/way"


@option("observe/also", "particles")
class Particles(Observable):
    """The first k units of one hidden layer: weights to, and to the output from, each, over their scale at the start.

    A seed draws them alike at every width. Recorded is the root mean square of their way; at the end the array
    ``particles`` has a row of weights for each unit, (k, d + 1), with biases (k, d + 2).
    """

    first: int = key(16, "k, units, the first ones; all where there are fewer", ge=1)

    quantities: ClassVar[Any] = {
        WAY: Quantity("way of the weights of single units, rms(w − w₀)", where="arXiv:2007.06352", theme=WEIGHTS)
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["architecture.depth=1"]

    def problems(self, config: Config) -> Iterator[str]:
        network = config.architecture
        if network.kind != "fully_connected" or network.hidden_layers != 1:
            yield (
                "observe/also=[particles]: is of one hidden layer; use architecture=fully_connected "
                "architecture.depth=1."
            )
        elif config.labels.several:
            yield f"observe/also=[particles]: labels={config.labels.kind} has an output for each class; use parity."

    def at(self, moment: Moment) -> dict[str, Tensor]:
        moved = self.units(moment, moment.weights) - self.units(moment, moment.w0)
        return {WAY: moved.square().mean(dim=(1, 2)).sqrt()}

    def end(self, moment: Moment) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {}, {PARTICLES: self.units(moment, moment.weights)}

    def units(self, moment: Moment, weights: Tensor) -> Tensor:
        """Weights of the first units from weights (M, N), over the standard deviation each begins with: (M, k, …)."""
        import torch

        net: Any = moment.setting.flow.architecture
        params = net.layout.unflatten(weights)
        scales = {name: net.parametrisation.std(role, net.last_fan_in) for name, role in net.roles.items()}
        # A row for each unit: of the output, which comes last, a column is.
        rows = [params[name] / scales[name] for name in ("W0", "B0") if name in params]
        return torch.cat([*rows, params["W1"].mT / scales["W1"]], dim=2)[:, : self.first]
