"""Observable ``shortcut_bias``: how much more than the best classifier a predictor relies on the shortcut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import OUTPUTS
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.registry import option
from feature_lazy.systems.shortcuts.data import Shortcut

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

BIAS, RELIANCE = "test/shortcut_bias", "test/shortcut_reliance"


@option("observe/also", "shortcut_bias")
class ShortcutBias(Observable):
    """Reliance is the share of probes, at which shortcut and core disagree, that F gives the shortcut's sign.

    The bias is that less the reliance of the best classifier, whose weights are the means μ of the features: the
    difference of alignments of arXiv:2310.16228. Probes count half where F is 0, as everywhere at t = 0.
    """

    quantities: ClassVar[Any] = {
        BIAS: Quantity("shortcut bias", scale="linear", where="arXiv:2310.16228", theme=OUTPUTS),
        RELIANCE: Quantity("reliance on the shortcut", scale="linear", where="arXiv:2310.16228", theme=OUTPUTS),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dataset=shortcut"]

    def problems(self, config: Config) -> Iterator[str]:
        if not isinstance(config.dataset, Shortcut):
            yield f"observe/also=[shortcut_bias]: dataset={config.dataset.kind} has no shortcut; use dataset=shortcut."
        elif config.labels.several:
            yield f"observe/also=[shortcut_bias]: labels={config.labels.kind} are not ±1; use labels=parity."

    def begin(self, moment: Moment) -> None:
        data = moment.setting.data
        assert data.x_probe is not None  # as the data are those of a shortcut
        assert data.probe_votes is not None
        self._x, self._shortcut = data.x_probe, data.probe_votes[:, 0]
        self._best = float(((1 + data.probe_votes[:, 1] * self._shortcut) / 2).mean())
        self._f0, self._before = moment.f(self._x), moment.setting.before(self._x)

    def at(self, moment: Moment) -> dict[str, Tensor]:
        f0 = self._f0[moment.member]
        said = moment.predictor(moment.f(self._x, f0), f0, self._before).sign()
        reliance = ((1 + said * self._shortcut) / 2).mean(1)
        return {BIAS: reliance - self._best, RELIANCE: reliance}
