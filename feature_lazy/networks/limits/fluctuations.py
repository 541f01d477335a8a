"""What initialisations of a wide fully connected network have in common, and by how much they differ: orders 1 and 1/h.

Given a layer, the preactivations of the next are independent N(0, g), g = C_b + mean φ(z)² over its h units, for one
pattern. So g goes from layer to layer as a mean of h terms of one law, and the output is a mixture of Gaussians of
variance g: its excess kurtosis is 3 Var g/(E g)² (arXiv:2106.10165: 3V/nK², V the four-point vertex). The tangent
kernel H of units goes along: H → b² + mean φ² + Σ WW φ′φ′H, and its variance follows from those of g, of what all H_ii
have in common, and of H_ij.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.core.errors import NumericalError
from feature_lazy.networks.activations import Scaled, derivative
from feature_lazy.networks.limits.dual import hermite_rule

TERMS = 64
"""Of the rule: its nodes lie 0.03 apart."""
RESOLVED = 1e-9


@dataclass(frozen=True)
class Start:
    """Preactivations and tangent kernel of one layer at the start, for one pattern.

    Attributes:
        variance: K = E g.
        spread: Var g/(E g)².
        kernel: Θ = E H_ii, as of infinite width with the K of this one.
        kernel_spread: Var H_ii/Θ², to order 1/h.
        exact: whether ``variance`` and ``spread`` are exact at every h, and ``kernel`` too; else what is next is of the
            order of ``spread²``, and of the kernel ``kernel_spread``.
    """

    variance: float
    spread: float
    kernel: float
    kernel_spread: float
    exact: bool

    @property
    def kurtosis(self) -> float:
        """Excess kurtosis of a preactivation."""
        return 3 * self.spread


def layers_at_start(
    activation: Scaled, widths: Sequence[float], square: float = 1.0, *, bias: float = 0.0, bias_std: float = 0.0
) -> list[Start]:
    """K, Θ and their spreads in every layer from the first to the output's, in the NTK parametrisation.

    Args:
        activation: φ.
        widths: of the hidden layers; may be infinite.
        square: |x|²/d of the pattern.
        bias: b of App. J.
        bias_std: standard deviation of the parameters Bˡ at initialisation.

    Raises:
        NumericalError: an activation that is too fast for the quadrature.
    """
    rule, drift = _Rule.of(activation), (bias * bias_std) ** 2
    exact = _homogeneous(activation)
    k, theta = square + drift, square + bias**2
    v = common = both = other = 0.0  # of g, of what all H_ii have in common, of these two, and of H_ij
    found = [Start(k, 0.0, theta, 0.0, exact)]
    for h in widths:
        m = rule.moments(k)
        # H_ii = b² + mean r, r = φ² + φ′²H; its mean moves with g by p, and with H by E φ′².
        p, chi = m.square.slope + theta * m.steep.slope, m.steep.value
        r, with_g = m.fourth.value + 2 * theta * m.mixed + theta**2 * m.steepest, m.fourth.value + theta * m.mixed
        mean = m.square.value + theta * chi
        common = (r - mean**2) / h + p**2 * v + 2 * p * chi * both + chi**2 * common
        both = (with_g - m.square.value * mean) / h + m.square.slope * (p * v + chi * both)
        other = m.steepest * theta**2 / h + chi**2 * other
        k, v = _next(m, v, h, drift)
        theta = bias**2 + mean
        found.append(Start(k, v / k**2, theta, (common + 2 * other) / theta**2, exact))
    return found


def _next(m: "_Moments", v: float, h: float, drift: float) -> tuple[float, float]:
    """Mean and variance of the next g, with every moment of this one to its second: exact where φ is homogeneous."""
    f, q = m.square, m.fourth
    mean = f.value + f.bend * v / 2
    squared = f.value**2 + (f.slope**2 + f.value * f.bend) * v
    second = squared + (q.value + q.bend * v / 2 - squared) / h
    return drift + mean, max(0.0, second - mean**2)


def _homogeneous(activation: Scaled) -> bool:
    """Whether φ(cz) = cφ(z) for c > 0, as of ReLU: then E φ² is linear in K, and E φ⁴ quadratic."""
    z = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    return torch.allclose(activation(3 * z), 3 * activation(z), rtol=1e-12, atol=1e-12)


@dataclass(frozen=True)
class _Curve:
    """An expectation as a function of K: value, first and second derivative."""

    value: float
    slope: float
    bend: float


@dataclass(frozen=True)
class _Moments:
    """E φ², E φ⁴ and E φ′² with their derivatives, E φ²φ′² and E φ′⁴, of z ~ N(0, K)."""

    square: _Curve
    fourth: _Curve
    steep: _Curve
    mixed: float
    steepest: float


@dataclass(frozen=True)
class _Rule:
    """A quadrature with Hermite polynomials, by which derivatives by K are integrals too (Price's theorem).

    Attributes:
        activation: φ.
        nodes: z, (N,).
        table: weights for each polynomial, (terms, N).
    """

    activation: Scaled
    nodes: Tensor
    table: Tensor

    @classmethod
    def of(cls, activation: Scaled) -> "_Rule":
        """The rule, once it was seen to resolve φ.

        Raises:
            NumericalError: it does not, or φ has surrogate gradients.
        """
        if activation.by_surrogate:
            raise NumericalError("moments of the kernel are of derivatives of φ, and this one has surrogates for them.")
        nodes, table = hermite_rule(TERMS, torch.zeros(1, dtype=torch.float64))
        found = cls(activation, nodes, table)
        there, known = found.moments(1.0), activation.moments()
        if not torch.allclose(
            torch.tensor([there.square.value, there.steep.value]), torch.tensor(known), rtol=RESOLVED
        ):
            raise NumericalError("the activation is too fast or too steep for the quadrature of its moments.")
        return found

    def moments(self, k: float) -> _Moments:
        """All that a layer needs at the variance K."""
        z = math.sqrt(k) * self.nodes
        value, slope = self.activation(z).square(), derivative(self.activation, z).square()
        mixed, steepest = (float(self.table[0] @ one) for one in (value * slope, slope.square()))
        return _Moments(self._curve(value, k), self._curve(value.square(), k), self._curve(slope, k), mixed, steepest)

    def _curve(self, values: Tensor, k: float) -> _Curve:
        """With h₂ = (z² − 1)/√2 and h₄ = (z⁴ − 6z² + 3)/√24: d/dK E g = E g·√2h₂/2K, and √24h₄/4K² for the second."""
        zeroth, second, fourth = (float(self.table[n] @ values) for n in (0, 2, 4))
        return _Curve(zeroth, second / (math.sqrt(2) * k), math.sqrt(24) * fourth / (4 * k**2))
