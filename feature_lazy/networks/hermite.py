"""Activation ``hermite``: a polynomial whose kernel is a polynomial that is chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from feature_lazy.data.rules import listed
from feature_lazy.settings.groups import Activation
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config

HIGHEST = 20
"""Degree up to which φ is summed: h₂₀ reaches 1e10 within ten standard deviations, and φ loses that many digits."""


@option("activation", "hermite")
class Hermite(Activation):
    """a·Σ √c_n h_n(z), with Hermite polynomials of E h_n² = 1: on the sphere its dual is Σ c_n ξⁿ (arXiv:2204.14126).

    The dual E φ(u)φ(v) is that of variances 1 and covariance ξ, and a² = 1/Σ c_n makes it 1 at ξ = 1.
    """

    coefficients: list[float] = key([0.0, 0.5, 0.0, 0.5], "c_0, c_1, … of the dual, of any sum", ge=0)

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if not any(self.coefficients[1:]):
            given = listed(self.coefficients)
            yield f"activation.coefficients={given}: φ is constant; c_1 or a later one must be above 0."
        if len(self.coefficients) > HIGHEST + 1:
            last = len(self.coefficients) - 1
            yield f"activation.coefficients: they end at c_{last}; beyond c_{HIGHEST} sums lose too many digits."

    @property
    def moment(self) -> float:
        """The sum of all coefficients: the polynomials are orthonormal."""
        return math.fsum(self.coefficients)

    @property
    def steepest(self) -> float:
        """∞ unless φ is linear."""
        return math.inf if any(self.coefficients[2:]) else math.sqrt(self.coefficients[1])

    def dual(self, q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """Σ a_n(q₁)a_n(q₂)ρⁿ for the coefficients a_n(q) of φ(√q z), and of φ′(√q z) since h_n′ = √n h_{n−1}.

        See ``Dual``. At q = 1 they are Σ c_n ρⁿ and Σ n c_n ρⁿ⁻¹.
        """
        value = [math.sqrt(c) for c in self.coefficients]
        slope = [math.sqrt(n * c) for n, c in enumerate(self.coefficients)][1:]
        return _correlated(value, q1, q2, rho), _correlated(slope, q1, q2, rho)

    def shape(self, z: Tensor) -> Tensor:
        import torch

        before, h = torch.zeros_like(z), torch.ones_like(z)
        total = torch.zeros_like(z)
        for n, c in enumerate(self.coefficients):
            total = total + math.sqrt(c) * h
            before, h = h, (z * h - math.sqrt(n) * before) / math.sqrt(n + 1)
        return total


def _correlated(b: Sequence[float], q1: Tensor, q2: Tensor, rho: Tensor) -> Tensor:
    """E g(u)g(v) for g = Σ b_n h_n, by Horner's rule in ρ."""
    total = (q1 * q2 * rho).zero_()
    for m in reversed(range(len(b))):
        total.mul_(rho)
        if any(b[m::2]):
            total.addcmul_(_at_variance(b, m, q1), _at_variance(b, m, q2))
    return total


def _at_variance(b: Sequence[float], m: int, q: Tensor) -> Tensor:
    """Coefficient of h_m(z) in g(√q z) for g = Σ b_n h_n: the multiplication theorem.

    h_n(√q z) = Σ_k √(n!/m!) √q^m ((q − 1)/2)^k/k! h_m(z) with m = n − 2k.
    """
    terms = [
        b[m + 2 * k] * math.sqrt(math.perm(m + 2 * k, 2 * k)) / math.factorial(k) * ((q - 1) / 2) ** k
        for k in range((len(b) - m + 1) // 2)
    ]
    import torch

    return q.sqrt() ** m * sum(terms, torch.zeros_like(q))
