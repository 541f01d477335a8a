"""Observable ``representations``: what some units of the last hidden layer say of all, and of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.systems.redundant_representations import PAPER

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment

THEME = "Redundancy"
SHARE = 3
"""Test patterns for each unit of a chunk: with fewer any units predict all others on them."""
WHERE = f"arXiv:{PAPER}"


@option("observe/also", "representations")
class Representations(Observable):
    """Random chunks of w units of the last hidden layer, at the end of training, means over chunks.

    Test error with their own rows of the output layer and its whole bias; R² of the linear regression of the whole
    layer on a chunk, on test patterns, weighted by variance, with a ridge of 10⁻⁸; mean |correlation| of what that
    leaves of the other units, less those that are dead on all patterns. A chunk is a clone of the layer if R² > 0.98,
    that correlation is below 0.1 and it fits the training set as the layer does; ``clone_size`` is the least w of
    clones, NaN where there is none, or where the layer itself does not fit it.
    """

    sizes: list[int] = key([], "w of the chunks; none: h/2, h/4, … 4", gt=0)
    draws: int = key(10, "random chunks of each size, the same for all networks", ge=1)

    quantities: ClassVar[Any] = {
        "last/chunk_*/test_error": Quantity("test error of w units", where=WHERE, theme=THEME),
        "last/chunk_*/r2": Quantity("R² of the layer from w units", scale="linear", where=WHERE, theme=THEME),
        "last/chunk_*/residual_correlation": Quantity(
            "mean |correlation| of what w units leave of others", scale="linear", where=WHERE, theme=THEME
        ),
        "last/clone_size": Quantity("least number of units of a clone", where=WHERE, theme=THEME),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["observe.also.representations.sizes=[2,3]"]

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: a network without a last hidden layer that is seen, chunks larger than it, or too few test
                patterns for them.
        """
        from feature_lazy.systems.redundant_representations.chunks import last_layer

        here = "observe/also=[representations]"
        x = moment.setting.data.x_test
        layer = last_layer(moment.setting, moment.setting.w0[:1], x[:1])
        if layer is None:
            raise ConfigError(f"{here}: the output layer of this network is not a dense one that shows its units.")
        units, n = layer.units.shape[2], len(x)
        self._sizes = self.sizes or [units >> k for k in range(1, units.bit_length() - 2)]
        if wrong := [w for w in self._sizes if w >= units]:
            raise ConfigError(
                f"{here}: a chunk of {wrong[0]} units is no part of a layer of {units}; name smaller ones."
            )
        if wrong := [w for w in self._sizes if SHARE * w >= n]:
            raise ConfigError(
                f"{here}: {n} test patterns do not tell what {wrong[0]} units say of others: any would predict all. "
                f"Use more than {SHARE * wrong[0]} of dataset.n_test, or smaller observe.also.representations.sizes."
            )

    def end(self, moment: Moment) -> dict[str, Tensor]:
        from feature_lazy.systems.redundant_representations.chunks import chunk_measures

        found, clone = {}, moment.w0.new_full((len(moment),), float("nan"))
        for w in sorted(self._sizes, reverse=True):
            one = chunk_measures(moment, w, self.draws)
            for name in ("test_error", "r2", "residual_correlation"):
                found[f"last/chunk_{w}/{name}"] = getattr(one, name)
            clone = clone.where(~one.clone, w)
        return found | {"last/clone_size": clone}
