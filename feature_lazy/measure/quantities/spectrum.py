"""Observable ``spectrum``: the eigenvalues of the kernel."""

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


@option("observe/also", "spectrum")
class Spectrum(Observable):
    """The largest eigenvalues of Θ on a probe set, and its effective rank."""

    probe: int = key(128, "test patterns of the probe set: the first ones", ge=1, at_most="dataset.n_test")
    top: int = key(5, "how many of the largest eigenvalues", ge=1, at_most="probe")

    quantities: ClassVar[Any] = {
        "spectrum/eigenvalue_*": Quantity("eigenvalue λ of Θ", theme=KERNEL),
        "spectrum/effective_rank": Quantity(
            "effective rank exp(−Σ p ln p), p = λ/Σλ", where="Roy and Vetterli 2007", theme=KERNEL
        ),
    }

    def at(self, moment: Moment) -> dict[str, Tensor]:
        """See ``Observable.at``; NaN of a network that has diverged, and the rank of a kernel that is zero."""
        from feature_lazy.kernels.spectrum import effective_rank

        eigenvalues = moment.eigenvalues(moment.probe(self.probe))
        rank = eigenvalues.new_full((len(eigenvalues),), float("nan"))
        known = eigenvalues[:, 0] > 0
        rank[known] = effective_rank(eigenvalues[known])
        found = {f"spectrum/eigenvalue_{i + 1}": eigenvalues[:, i] for i in range(self.top)}
        return {**found, "spectrum/effective_rank": rank}
