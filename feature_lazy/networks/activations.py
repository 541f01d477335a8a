"""Activations φ scaled to E φ(z)² = 1 for z ~ N(0, 1) (eq. 10), or to be critical in depth.

What the scale of eq. 10 makes of depth is said by the susceptibilities of arXiv:2106.10165 at its fixed point K = 1,
parallel and perpendicular, both 1 where depth is critical: ReLU, leaky ReLU and linear (1, 1), tanh (0.461, 1.178),
erf (0.409, 1.226) and sine (0.313, 1.313) chaotic, softplus with β = 5 (0.980, 0.838) ordered, GELU (1.144, 1.072) and
SiLU (1.173, 1.067) away from K = 1 (docs/depth.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.critical import Critical
from feature_lazy.settings.groups import Activation
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config

# ln(1 + eᵘ) equals u in float64 from u = 37 on. PyTorch's default threshold of 20 makes it jump by 4e-10, which
# would limit the order of integrators and finite differences.
SOFTPLUS_THRESHOLD = 40.0


def softplus(z: Tensor, beta: float) -> Tensor:
    """sp_β(z) = ln(1 + e^{βz}) / β, elementwise; continuous to machine precision (eq. 10)."""
    from torch.nn.functional import softplus

    return softplus(z, beta, SOFTPLUS_THRESHOLD)


def second_moment(phi: Callable[[Tensor], Tensor], variance: float = 1.0) -> float:
    """E φ(√q z)² for z ~ N(0, 1), by adaptive quadrature in float64 to about 1e-13 (split at the kink z = 0)."""
    import numpy as np
    import torch
    from scipy import integrate

    def integrand(z: float) -> float:
        value = float(phi(torch.tensor(math.sqrt(variance) * z, dtype=torch.float64)))
        return value * value * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    # The Gaussian weight is below 1e-300 beyond |z| = 38; 1 lies between the scales of φ and of the weight.
    cuts = [-38.0, -8.0, -1.0, 0.0, 1.0, 8.0, 38.0]
    pieces = [integrate.quad(integrand, low, high, epsabs=1e-15, epsrel=1e-13)[0] for low, high in pairwise(cuts)]
    return float(sum(pieces))


def derivative(phi: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """φ′(z), elementwise."""
    import torch

    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        return torch.autograd.grad(phi(leaf).sum(), leaf)[0]


REACH, NODES = 38.0, 76_001
"""Where a slope is looked for: beyond it the weight of N(0, 1) is below 1e-300."""


def largest_slope(phi: Callable[[Tensor], Tensor]) -> float:
    """max |φ′| on a grid of |z| ≤ ``REACH``; ∞ if it is larger yet at twice that."""
    import torch

    z = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    found = float(derivative(phi, z).abs().max())
    beyond = float(derivative(phi, torch.tensor([-2 * REACH, 2 * REACH], dtype=torch.float64)).abs().max())
    return math.inf if beyond > (1 + 1e-6) * found else found


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
        steepest: sup |φ₀′|; without it the largest slope of a grid is taken.
        by_surrogate: see ``Activation``.
    """

    shape: Callable[[Tensor], Tensor]
    factor: float
    dual: Dual | None = None
    steepest: float | None = None
    by_surrogate: bool = False

    def __call__(self, z: Tensor) -> Tensor:
        """Apply φ elementwise."""
        return self.factor * self.shape(z)

    @classmethod
    def normalised(
        cls, shape: Callable[[Tensor], Tensor], dual: Dual | None = None, steepest: float | None = None
    ) -> Scaled:
        """Scale φ₀ to E φ² = 1; a = 1.40438… for softplus with β = 5, √2 for ReLU."""
        return cls(shape, second_moment(shape) ** -0.5, dual, steepest)

    @property
    def lipschitz(self) -> float:
        """sup |φ′|, the Lipschitz constant of φ."""
        return self.factor * (largest_slope(self.shape) if self.steepest is None else self.steepest)

    @property
    def squared_slope(self) -> float:
        """E φ′(z)² for z ~ N(0, 1): χ_⊥ of arXiv:2106.10165 at K = 1."""
        return self.moments()[1]

    def moments(self, variance: float = 1.0) -> tuple[float, float]:
        """E φ(√q z)² and E φ′(√q z)² for z ~ N(0, 1), q the variance."""
        if self.dual is None:
            return second_moment(self, variance), second_moment(lambda z: derivative(self, z), variance)
        import torch

        q = torch.tensor(variance, dtype=torch.float64)
        value, slope = self.dual(q, q, torch.ones_like(q))
        return self.factor**2 * float(value), self.factor**2 * float(slope)


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


def linear_dual(q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    """E uv, and 1; see ``Dual``."""
    covariance = rho * (q1 * q2).sqrt()
    return covariance, covariance.new_ones(()).expand_as(covariance)


def scaled(option: Activation) -> Scaled:
    """φ of an option, with a in closed form or by quadrature.

    Raises:
        ConfigError: ``scale=critical`` of an activation without a critical point.
    """
    if option.scale == "critical":
        if option.critical is None:
            raise ConfigError(f"activation.scale=critical: activation={option.kind} has no critical point; use unit.")
        factor = math.sqrt(option.critical.weights)
    elif option.scale == "none":
        factor = 1.0
    elif option.moment is not None:
        factor = option.moment**-0.5
    else:
        return Scaled.normalised(option.shape, option.dual, option.steepest)
    return Scaled(option.shape, factor, option.dual, option.steepest, option.by_surrogate)


@option("activation", "softplus")
class Softplus(Activation):
    """a·ln(1 + e^{βz})/β, the article's (eq. 10)."""

    beta: float = key(5.0, "β of ln(1 + e^{βz})/β", gt=0)

    steepest = 1.0

    @property
    def moment(self) -> float | None:
        """What quadrature gives for the article's β."""
        return 0.5070241639286783 if self.beta == 5.0 else None

    def shape(self, z: Tensor) -> Tensor:
        return softplus(z, self.beta)


@option("activation", "relu")
class Relu(Activation):
    """√2·max(0, z) (Fig. 12)."""

    smooth = False
    dual = staticmethod(relu_dual)
    critical = Critical(2.0)
    steepest = 1.0
    moment = 0.5

    def shape(self, z: Tensor) -> Tensor:
        return z.relu()


@option("activation", "tanh")
class Tanh(Activation):
    """a·tanh(z)."""

    critical = Critical(1.0)
    steepest = 1.0
    moment = 0.39429449039784126  # by quadrature

    def shape(self, z: Tensor) -> Tensor:
        return z.tanh()


@option("activation", "erf")
class Erf(Activation):
    """a·erf(z)."""

    dual = staticmethod(erf_dual)
    critical = Critical(math.pi / 4)
    steepest = 2 / math.sqrt(math.pi)
    moment = 0.46455905439754  # 2/π·arcsin(2/3), as quadrature rounds it

    def shape(self, z: Tensor) -> Tensor:
        return z.erf()


@option("activation", "linear")
class Linear(Activation):
    """The identity: a deep linear network."""

    dual = staticmethod(linear_dual)
    critical = Critical(1.0)
    steepest = 1.0
    moment = 1.0

    def shape(self, z: Tensor) -> Tensor:
        return z


@option("activation", "perturbed")
class Perturbed(Activation):
    """a·(z + εz²/2), a² = 1/(1 + 3ε²/4): what is nearly linear (arXiv:2310.06110, with scale=none)."""

    eps: float = key(0.25, "ε", ge=0)

    @property
    def moment(self) -> float:
        """1 + 3ε²/4, since E z³ = 0 and E z⁴ = 3."""
        return 1 + 3 * self.eps**2 / 4

    @property
    def steepest(self) -> float:
        """∞ unless ε = 0: the slope is 1 + εz."""
        return math.inf if self.eps else 1.0

    def dual(self, q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """E uv + (ε²/4) E u²v², and 1 + ε² E uv, with E u²v² = q₁q₂ + 2(E uv)² (Isserlis); see ``Dual``."""
        covariance = rho * (q1 * q2).sqrt()
        return covariance + self.eps**2 / 4 * (q1 * q2 + 2 * covariance**2), 1 + self.eps**2 * covariance

    def shape(self, z: Tensor) -> Tensor:
        return z + self.eps / 2 * z**2


@option("activation", "leaky_relu")
class LeakyRelu(Activation):
    """a·max(z, s·z), a² = 2/(1 + s²)."""

    slope: float = key(0.01, "s, slope for z < 0; 1: linear", ge=0)

    smooth = False
    steepest = 1.0

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.slope > 1:
            yield f"activation.slope={self.slope}: must be at most 1; a larger one is a smaller one mirrored."

    @property
    def moment(self) -> float:
        """Half of that of z, and half of that of s·z."""
        return (1 + self.slope**2) / 2

    @property
    def critical(self) -> Critical:
        """C_W = 2/(1 + s²) and C_b = 0: a scale-invariant φ keeps any variance (arXiv:2106.10165, sec. 5.2)."""
        return Critical(1 / self.moment)

    def dual(self, q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """That of (1 − s)·max(0, z) + s·z, with E max(0, u)v = E uv/2; see ``Dual``."""
        values, slopes = relu_dual(q1, q2, rho)
        bend = (1 - self.slope) ** 2
        return bend * values + self.slope * rho * (q1 * q2).sqrt(), bend * slopes + self.slope

    def shape(self, z: Tensor) -> Tensor:
        from torch.nn.functional import leaky_relu

        return leaky_relu(z, self.slope)


@option("activation", "gelu")
class Gelu(Activation):
    """a·zΦ(z), Φ the distribution function of N(0, 1): not the approximation by tanh."""

    critical = Critical(1.98305825744, 0.17292239076)
    # At z = √2, where φ″ = (2 − z²)e^{−z²/2}/√2π is 0: (1 + erf 1)/2 + 1/(e√π).
    steepest = (1 + math.erf(1)) / 2 + 1 / (math.e * math.sqrt(math.pi))
    moment = 0.4252214825702987  # by quadrature

    def shape(self, z: Tensor) -> Tensor:
        from torch.nn.functional import gelu

        return gelu(z)


@option("activation", "silu")
class Silu(Activation):
    """a·z/(1 + e^{−z}), also called swish."""

    critical = Critical(1.98800467827, 0.55514317072)
    # ½ + z/4 at the z for which z tanh(z/2) = 2.
    steepest = 0.5 + 2.3993572805154675 / 4
    moment = 0.3557755198173523  # by quadrature

    def shape(self, z: Tensor) -> Tensor:
        return z * z.sigmoid()


@option("activation", "sine")
class Sine(Activation):
    """a·sin(ωz), a² = 2/(1 − e^{−2ω²})."""

    frequency: float = key(1.0, "ω of sin(ωz)", gt=0)

    @property
    def moment(self) -> float:
        """(1 − e^{−2ω²})/2, since sin² = (1 − cos 2ωz)/2."""
        return -math.expm1(-2 * self.frequency**2) / 2

    @property
    def steepest(self) -> float:
        """ω, at 0."""
        return self.frequency

    @property
    def critical(self) -> Critical:
        """C_W = 1/φ₀′(0)² = ω⁻² and C_b = 0, as of tanh: the class of K* = 0 (arXiv:2106.10165, sec. 5.3)."""
        return Critical(self.frequency**-2)

    def dual(self, q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """Half of E cos ω(u − v) ∓ E cos ω(u + v), each e^{−ω²·variance/2}; see ``Dual``."""
        square, covariance = self.frequency**2, rho * (q1 * q2).sqrt()
        near, far = ((-square * ((q1 + q2) / 2 + sign * covariance)).exp() / 2 for sign in (-1, 1))
        return near - far, square * (near + far)

    def shape(self, z: Tensor) -> Tensor:
        return (self.frequency * z).sin()
