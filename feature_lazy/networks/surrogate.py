"""Activation ``sign``: ±1 forward, and backward the slope of a smooth function that stands in for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.settings.groups import Activation
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config


@option("activation", "sign")
class Sign(Activation):
    """sign z, whose backward pass has σ′(z) of a surrogate σ: erf(mz), or the identity, a straight-through estimator.

    Surrogate gradients of arXiv:2405.15539. f is piecewise constant in all weights but the last layer's, and what
    passes back is the gradient of no function: updates along it are defined, a flow is not. In the kernel of infinite
    width Θ(x, x′) the output at x has the derivative of sign, 2δ, as f has it, and that at x′ the surrogate's, as
    updates from x′ have it; both are of one size only where |x| = |x′|. Θ of a network of finite width is that of what
    passes back on either side, which is another one, and ``kernel/change`` is its.
    """

    surrogate: str = key("erf", "σ, whose slope passes back: erf(mz), or z", choices=("erf", "identity"))
    slope: float = key(1.0, "m of erf(mz)", gt=0)

    smooth = False
    by_surrogate = True
    steepest = math.inf

    @property
    def moment(self) -> float:
        """The square of ±1."""
        return 1.0

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dynamics=sgd"]

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if config.architecture.kind != "fully_connected":
            yield (
                f"activation=sign: what surrogate gradients make of architecture={config.architecture.kind} is not "
                "known here; use fully_connected."
            )
        if not config.dynamics.by_surrogate:
            yield (
                f"activation=sign: what passes back is no gradient of f, which is piecewise constant, so that "
                f"dynamics={config.dynamics.kind} has nothing to follow; use sgd with a small lr, adam or lion."
            )
        for name, one in config.observe.also.items():
            if not one.by_surrogate:
                yield f"observe/also=[{name}]: is of derivatives of f, and activation=sign has none; leave it out."

    def dual(self, q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """E sign u sign v = (2/π) arcsin ρ, and E 2δ(u)σ′(v), which is not symmetric; see ``Dual``."""
        values = 2 / math.pi * rho.arcsin()
        if self.surrogate == "identity":
            return values, math.sqrt(2 / math.pi) * q1.rsqrt().expand_as(rho)
        determinant = q1 * (1 / (2 * self.slope**2) + q2) - rho**2 * q1 * q2
        return values, 2 / math.pi * determinant.rsqrt()

    def shape(self, z: Tensor) -> Tensor:
        at = z.detach()
        slope = 1.0 if self.surrogate == "identity" else self._height * (-((self.slope * at) ** 2)).exp()
        return at.sign() + slope * (z - at)

    @property
    def _height(self) -> float:
        """σ′(0) of erf(mz)."""
        return 2 * self.slope / math.sqrt(math.pi)
