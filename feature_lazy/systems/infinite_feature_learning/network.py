"""Architecture ``infinite_linear``: the limit of a linear network of one hidden layer in µP, as a network itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.settings.scales import Width
    from feature_lazy.systems.infinite_feature_learning.limit import InfiniteLinear

CLOSED = (
    "only one linear hidden layer has a closed limit of feature learning; with more layers, or another activation, its "
    "cost grows with the time of training"
)


@option("architecture", "infinite_linear")
class InfiniteLinearOption(Architecture):
    """f = VUx/√d of d + C hidden units: parametrisation=mup of depth 1 and activation=linear at h = ∞ (2011.14522).

    It begins as U = [1; 0] and V = [0, 1] whatever the seed, and moves with rate 1. There is no width, so that √h·α
    means nothing: alpha=raw. Columns have the fan-in of V, 1, as h.
    """

    one_width = True
    unread: ClassVar = {
        "activation": f"is linear ({CLOSED})",
        "parametrisation": "is the limit of mup, which is mean_field here",
        "width": "has no width: it is the limit h = ∞",
    }

    @property
    def hidden_layers(self) -> int:
        return 1

    def last_fan_in(self, width: Width) -> int:
        return 1

    def problems(self, config: Config) -> Iterator[str]:
        if config.alpha.kind != "raw":
            yield f"alpha={config.alpha.kind}: architecture=infinite_linear has no h, so no √h·α; use alpha=raw."

    @classmethod
    def smallest(cls) -> list[str]:
        return ["alpha=raw", "alpha.value=1"]

    def build(self, config: Config, data: Dataset) -> InfiniteLinear:
        from feature_lazy.systems.infinite_feature_learning.limit import InfiniteLinear

        return InfiniteLinear(data.input_dim, data.n_outputs)
