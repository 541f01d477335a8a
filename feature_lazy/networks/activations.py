"""Activations φ scaled to E φ(z)² = 1 for z ~ N(0, 1) (eq. 10)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from feature_lazy.settings.groups import Activation
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

# ln(1 + eᵘ) equals u in float64 from u = 37 on. PyTorch's default threshold of 20 makes it jump by 4e-10, which
# would limit the order of integrators and finite differences.
SOFTPLUS_THRESHOLD = 40.0


def softplus(z: Tensor, beta: float) -> Tensor:
    """sp_β(z) = ln(1 + e^{βz}) / β, elementwise; continuous to machine precision (eq. 10)."""
    from torch.nn.functional import softplus

    return softplus(z, beta, SOFTPLUS_THRESHOLD)


def second_moment(phi: Callable[[Tensor], Tensor]) -> float:
    """E φ(z)² for z ~ N(0, 1), by adaptive quadrature in float64 to about 1e-13 (split at the kink z = 0)."""
    import numpy as np
    import torch
    from scipy import integrate

    def integrand(z: float) -> float:
        value = float(phi(torch.tensor(z, dtype=torch.float64)))
        return value * value * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    # The Gaussian weight is below 1e-300 beyond |z| = 38; 1 lies between the scales of φ and of the weight.
    cuts = [-38.0, -8.0, -1.0, 0.0, 1.0, 8.0, 38.0]
    pieces = [integrate.quad(integrand, low, high, epsabs=1e-15, epsrel=1e-13)[0] for low, high in pairwise(cuts)]
    return float(sum(pieces))


Dual = Callable[["Tensor", "Tensor", "Tensor"], "tuple[Tensor, Tensor]"]
"""(q₁, q₂, ρ) → E φ₀(u)φ₀(v) and E φ₀′(u)φ₀′(v), for centred Gaussian u, v of variances q₁, q₂ and correlation ρ."""


@dataclass(frozen=True)
class Scaled:
    """φ(z) = a·φ₀(z), with a such that E φ(z)² = 1 for z ~ N(0, 1) (eq. 10).

    Attributes:
        shape: the unscaled function φ₀, elementwise on tensors.
        factor: the scale a.
        dual: closed forms of the two expectations that kernels of infinite width need; without them they are summed
            as series.
    """

    shape: Callable[[Tensor], Tensor]
    factor: float
    dual: Dual | None = None

    def __call__(self, z: Tensor) -> Tensor:
        """Apply φ elementwise."""
        return self.factor * self.shape(z)

    @classmethod
    def normalised(cls, shape: Callable[[Tensor], Tensor], dual: Dual | None = None) -> Scaled:
        """Scale φ₀ to E φ² = 1; a = 1.40438… for softplus with β = 5, √2 for ReLU."""
        return cls(shape, second_moment(shape) ** -0.5, dual)


def relu_dual(q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    """Arc-cosine kernels of max(0, z) (Cho & Saul 2009); see ``Dual``. At ρ = ±1 their slopes are infinite."""
    angle = rho.arccos()
    slopes = (math.pi - angle) / (2 * math.pi)
    return (q1 * q2).sqrt() * (angle.sin() / (2 * math.pi) + rho * slopes), slopes


def erf_dual(q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    """Arc-sine kernel of erf(z) (Williams 1997) and its derivative with respect to the covariance; see ``Dual``."""
    covariance = rho * (q1 * q2).sqrt()
    scale = (1 + 2 * q1) * (1 + 2 * q2)
    values = 2 / math.pi * (2 * covariance / scale.sqrt()).arcsin()
    return values, 4 / math.pi * (scale - 4 * covariance**2).rsqrt()


def scaled(option: Activation) -> Scaled:
    """φ of an option, with a by quadrature."""
    return Scaled.normalised(option.shape, option.dual)


@option("activation", "softplus")
class Softplus(Activation):
    """a·ln(1 + e^{βz})/β, the article's (eq. 10)."""

    beta: float = key(5.0, "β of ln(1 + e^{βz})/β", gt=0)

    def shape(self, z: Tensor) -> Tensor:
        return softplus(z, self.beta)


@option("activation", "relu")
class Relu(Activation):
    """√2·max(0, z) (Fig. 12)."""

    dual = staticmethod(relu_dual)

    def shape(self, z: Tensor) -> Tensor:
        return z.relu()


@option("activation", "tanh")
class Tanh(Activation):
    """a·tanh(z)."""

    def shape(self, z: Tensor) -> Tensor:
        return z.tanh()


@option("activation", "erf")
class Erf(Activation):
    """a·erf(z)."""

    dual = staticmethod(erf_dual)

    def shape(self, z: Tensor) -> Tensor:
        return z.erf()
