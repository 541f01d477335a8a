"""Regularisers: options of the group ``regulariser``, a term R(w) of 𝓛 beside the loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.checks import check_option
from feature_lazy.settings.groups import Regulariser
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.networks.layout import Layout
    from feature_lazy.settings.config import Config

LIFETIMES = 20.0
"""Where a flow ends at the latest, over 1/λ: what is left of its beginning is then e⁻²⁰ = 2e-9."""


def pulls_to_zero(what: str) -> str:
    """Why what pulls weights to 0 is not for F = α(f − f₀)."""
    return (
        f"{what}: it pulls f to 0, and so F = α(f − f₀) to −αf₀; use centred=false, or regulariser=distance, which "
        "pulls weights back to their beginning."
    )


@dataclass(frozen=True)
class Penalty:
    """R(w) = ½ Σ_i λ_i (w_i − c_i)², for M members.

    Attributes:
        rates: λ_i, 0 for weights that are not trained, (N,).
        centre: c, (M, N).
        rate: λ, where all trained weights have one; else None.
        tol: a flow ends where ‖ẇ‖ < tol·‖∇R‖.
    """

    rates: Tensor
    centre: Tensor
    rate: float | None
    tol: float

    def pull(self, w: Tensor, member: Tensor) -> Tensor:
        """−∇R at weights w (M, N): (M, N)."""
        return self.rates * (self.centre[member] - w)

    def away(self, w: Tensor, member: Tensor) -> Tensor:
        """w − c of the weights that are pulled, 0 of others, (M, N)."""
        return (w - self.centre[member]) * (self.rates > 0)

    def restricted(self, member: Tensor) -> Penalty:
        """The same for members (M,), whose rows count from 0."""
        return replace(self, centre=self.centre[member])

    @property
    def lifetime(self) -> float:
        """Time after which nothing but the balance of R and the loss is left."""
        return LIFETIMES / float(self.rates[self.rates > 0].min())


@option("regulariser", "none")
class NoRegulariser(Regulariser):
    """𝓛 is the loss alone."""

    def rates(self, layout: Layout) -> Mapping[str, float]:
        return {}


@dataclass
class Quadratic(Regulariser):
    """R(w) = (λ/2)·‖w − c‖² over some weights."""

    strength: float = key(1e-2, "λ, an inverse time in the article's t", gt=0)
    tol: float = key(1e-4, "a flow ends where ‖∇𝓛‖ < tol·‖∇R‖, or at 20/λ", gt=0)

    def problems(self, config: Config) -> Iterator[str]:
        if config.centred is True and not self.towards_start:
            yield pulls_to_zero(f"regulariser={self.kind}")

    def rates(self, layout: Layout) -> Mapping[str, float]:
        return dict.fromkeys(layout.trained, self.strength)


@option("regulariser", "distance")
class Distance(Quadratic):
    """R = (λ/2)‖w − w₀‖²: in the lazy regime Ḟ = −(1/P) Θ ∂ℓ/∂F − λF at every α, kernel regression with a ridge λP."""

    towards_start = True


@option("regulariser", "l2")
class L2(Quadratic):
    """R = (λ/2)‖w‖², over all weights that are trained; for F = αf, centred=false."""

    @classmethod
    def smallest(cls) -> list[str]:
        return ["centred=false"]


@option("regulariser", "output")
class OutputL2(Quadratic):
    """R = (λ/2)‖W‖² of the output layer alone, as for the support vector machine of arXiv:2111.06063; for F = αf."""

    @classmethod
    def smallest(cls) -> list[str]:
        return ["centred=false"]

    def rates(self, layout: Layout) -> Mapping[str, float]:
        return {name: self.strength for name in layout.last if name not in layout.fixed}


def penalty(regulariser: Regulariser, layout: Layout, w0: Tensor, *, centred: bool) -> Penalty | None:
    """A regulariser made ready for members with the initial weights w0 (M, N); None: there is none.

    Raises:
        ConfigError: a value that its keys do not allow, one that does not fit F = α(f − f₀), or one of weights that are
            not trained.
    """
    import torch

    check_option(regulariser, "regulariser")
    if type(regulariser) is NoRegulariser:
        return None
    if centred and not regulariser.towards_start:
        raise ConfigError(pulls_to_zero(f"regulariser={regulariser.kind}"))
    rates = regulariser.rates(layout)
    if not rates:
        raise ConfigError(f"regulariser={regulariser.kind}: the weights that it is about are not trained.")
    each = [w0.new_full((size,), rates.get(name, 0.0)) for name, size in zip(layout.shapes, layout.sizes, strict=True)]
    own = {rates.get(name, 0.0) for name in layout.trained}
    centre = w0 if regulariser.towards_start else torch.zeros_like(w0)
    return Penalty(torch.cat(each), centre, own.pop() if len(own) == 1 else None, regulariser.tol)
