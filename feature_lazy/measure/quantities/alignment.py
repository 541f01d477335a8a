"""Observable ``cka``: how like the kernel is to that of t = 0, whatever its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.measure.quantities import KERNEL
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment


@option("observe/also", "cka")
class Cka(Observable):
    """Centred kernel alignment of Θ with Θ₀ on a probe set: 1 at t = 0, and as long as Θ only changes its scale.

    ⟨HΘH, HΘ₀H⟩_F/(‖HΘH‖_F‖HΘ₀H‖_F) with H = I − 11ᵀ/P (Kornblith et al. 2019, arXiv:1905.00414).
    """

    probe: int = key(128, "test patterns of the probe set: the first ones", ge=2, at_most="dataset.n_test")

    quantities: ClassVar[Any] = {"cka": Quantity("CKA(Θ, Θ₀)", scale="linear", where="arXiv:1905.00414", theme=KERNEL)}

    def begin(self, moment: Moment) -> None:
        self._theta0 = moment.kernel(moment.probe(self.probe))

    def at(self, moment: Moment) -> dict[str, Tensor]:
        """See ``Observable.at``; NaN of a network that has diverged, or whose kernel is constant."""
        from feature_lazy.kernels.description import centred_alignment

        theta = moment.kernel(moment.probe(self.probe))
        return {"cka": centred_alignment(theta, self._theta0[moment.member])}
