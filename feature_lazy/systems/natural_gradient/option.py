"""Natural gradient descent, an option of the group ``dynamics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.settings.groups import Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.systems.natural_gradient.parts import BLOCK, EXACT, KFAC, TRIDIAGONAL, UNIT

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config

LEAST_DAMPING = {"float32": 1e-6, UNIT: 1e-3}
"""Damping needed in single precision, since condition numbers of a layer's Θ reach 10⁷; and by single units, whose
back-propagated signals may be so small that an update leaves the linear range."""


@option("dynamics", "natural_gradient")
class NaturalGradient(Dynamics):
    """Natural gradient descent, w ← w − η·G⁻¹∇𝓛, G the Gauss–Newton matrix or a part of it; t = updates.

    With mse F − y falls by the factor 1 − step in an update of a wide lazy network (Karakida and Osawa 2020, Theorem
    4.1), of unit_wise where every unit has as many inputs as there are patterns.
    """

    fisher: str = key(
        EXACT,
        "exact; block_diagonal, block_tridiagonal: layers; kfac: Kronecker factors of layers; unit_wise: single units",
        choices=(EXACT, BLOCK, TRIDIAGONAL, KFAC, UNIT),
    )
    step: float = key(0.5, "share of F − y that an update takes off at infinite width, below 2", gt=0)
    damping: float = key(1e-10, "λ of G + λ, over the mean eigenvalue of each part; unit_wise asks for 1e-3", gt=0)
    updates: int = key(100, "where training ends at the latest", ge=1)
    check_every: int = key(1, "updates between two looks for the end of training", ge=1)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["loss=mse"]

    def problems(self, config: Config) -> Iterator[str]:
        own = f"dynamics.fisher={self.fisher}"
        if self.step >= 2:
            yield f"dynamics.step={self.step:g}: must be below 2; from there on F − y grows."
        if config.loss.kind not in ("mse", "cross_entropy"):
            yield (
                f"dynamics=natural_gradient: loss={config.loss.kind} has no curvature on patterns that are fit, so "
                "that G has no inverse; use loss=mse or cross_entropy."
            )
        if config.loss.kind == "cross_entropy" and self.fisher not in (EXACT, BLOCK):
            yield f"{own}: for loss=cross_entropy there are exact and block_diagonal; or use loss=mse."
        if self.fisher in (KFAC, UNIT) and config.labels.several:
            yield f"{own}: for one output, and labels={config.labels.kind} has one for each class; use block_diagonal."
        if config.regulariser.kind != "none":
            yield f"dynamics=natural_gradient: G has no part for regulariser={config.regulariser.kind}; use none."
        for what in (config.dtype, self.fisher):
            if self.damping < (least := LEAST_DAMPING.get(what, 0.0)):
                yield f"dynamics.damping={self.damping:g}: must be at least {least:g} with {what}."

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.systems.natural_gradient.update import prepare

        return prepare(self, flow, w0)
