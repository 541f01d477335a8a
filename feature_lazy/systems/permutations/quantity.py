"""Observable ``bits``: how much of a permutation a network knows by the signs of its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import OUTPUTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.registry import option
from feature_lazy.systems.permutations.data import Permutation, bits

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

BITS, EXACT = "test/bits", "test/exact"


@option("observe/also", "bits")
class Bits(Observable):
    """Shares of bits, and of test patterns with all their bits, that the rule "1 where F > 0" has right."""

    quantities: ClassVar[Any] = {
        BITS: Quantity("share of bits right", scale="linear", where="arXiv:2502.16763", theme=OUTPUTS),
        EXACT: Quantity("share of inputs with all bits right", scale="linear", where="arXiv:2502.16763", theme=OUTPUTS),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dataset=permutation", *Permutation.smallest()]

    def problems(self, config: Config) -> Iterator[str]:
        if not isinstance(config.dataset, Permutation):
            yield f"observe/also=[bits]: dataset={config.dataset.kind} has no bits; use dataset=permutation."

    def at(self, moment: Moment) -> dict[str, Tensor]:
        wanted = bits(moment.setting.data)[: moment.setting.n_test]
        right = (moment.F_test.unflatten(1, wanted.shape) > 0) == wanted
        dtype = moment.F_test.dtype
        return {BITS: right.to(dtype).mean((1, 2)), EXACT: right.all(2).to(dtype).mean(1)}
