"""Gaussian expectations of an activation: all that a layer of infinite width knows about φ.

For centred Gaussian u, v of variances q₁, q₂ and correlation ρ a layer needs E φ(u)φ(v) and E φ′(u)φ′(v). An activation
may bring them in closed form (``Scaled.dual``). For any other they are Mehler's series, with g = φ and g = φ′:

    E g(u)g(v) = Σₙ aₙ(q₁) aₙ(q₂) ρⁿ,   aₙ(q) = E g(√q z)hₙ(z),   hₙ orthonormal Hermite polynomials, z ~ N(0, 1).

Only the aₙ are integrals: in one dimension, and once for each pattern. So patterns of any norms cost the same. What N
terms leave out is known: by Cauchy–Schwarz at most |ρ|^N √(r(q₁)r(q₂)), with r(q) = E g(√q z)² − Σ_{n<N} aₙ(q)².
Softplus with β = 5 needs 314 terms for r = 1e-10 E g² at q = 1, and about in proportion to β²q: aₙ² falls as
e^{−2w√n}, where w = π/(β√q) is the half width of the strip in which φ(√q z) is analytic.

Gauss–Hermite quadrature in two dimensions is limited by the same w: it takes about 400 nodes a dimension for 1e-10, 500
times the work, and does not say how wrong it is.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import NumericalError
from feature_lazy.networks.activations import Scaled, derivative

# Numbers of terms to try. At the last the table of hₙ takes 220 MB.
TERMS = tuple(2**k for k in range(6, 13))
# hₙ(z)e^{−z²/4} is bounded, and e^{−z²/4} = 4e-19 at the edge.
EDGE = 13.0
# Gauss–Legendre nodes on a panel. h_N has wave number √N at most, and a panel holds four of its radians.
PANEL_NODES, PANEL_RADIANS = 16, 4.0
# Patterns whose φ is held on all nodes at once.
PATTERNS_AT_ONCE = 256


@dataclass(frozen=True)
class Marginals:
    """What the expectations need of each pattern alone.

    Attributes:
        variance: q, (P,).
        moment: E φ(√q z)², (P,).
        coefficients: aₙ(q) of φ and φ′, (2, N, P); N = 0 where closed forms make them needless.
        error: largest r(q)/E g(√q z)² over patterns, φ and φ′; 0 for closed forms.
    """

    variance: Tensor
    moment: Tensor
    coefficients: Tensor
    error: float

    def of(self, patterns: slice) -> "Marginals":
        """The same for some patterns."""
        return Marginals(self.variance[patterns], self.moment[patterns], self.coefficients[:, :, patterns], self.error)


class Expectations(Protocol):
    """E φ(u)φ(v) and E φ′(u)φ′(v), in two steps: once for each pattern, then for each pair."""

    def marginals(self, q: Tensor) -> Marginals:
        """Prepare patterns of variances q (P,)."""
        ...

    def joint(self, rows: Marginals, columns: Marginals, rho: Tensor) -> tuple[Tensor, Tensor]:
        """E φ(u)φ(v) and E φ′(u)φ′(v) at the correlations ρ (P1, P2) of P1 patterns with P2: (P1, P2) each."""
        ...


def correlation(covariance: Tensor, rows: Marginals, columns: Marginals, same: Tensor | None = None) -> Tensor:
    """ρ of Gaussians of these variances and covariances (P1, P2); exactly 1 where ``same`` says that they are one."""
    scale = torch.sqrt(rows.variance[:, None] * columns.variance)
    # φ of what has variance 0 is constant: any correlation would do.
    rho = torch.where(scale > 0, covariance / scale, 0.0).clamp_(-1, 1)
    # ReLU's second expectation falls as √(1 − ρ): rounding ρ = 1 by 1e-16 would cost it 1e-8.
    return rho if same is None else rho.masked_fill_(same, 1.0)


def expectations(activation: Scaled, tolerance: float, *, surrogates: bool = False) -> Expectations:
    """Closed forms where the activation has them, else series of relative error ``tolerance``.

    Raises:
        NumericalError: an activation with surrogate gradients, unless ``surrogates`` says that the second expectation,
            of φ′(u) with the surrogate's slope at v, is used as such.
    """
    if activation.by_surrogate and not surrogates:
        raise NumericalError(
            "this limit takes derivatives of φ for what passes back, and those of surrogate gradients are two things; "
            "their kernel is known of the fully connected network."
        )
    return HermiteSeries(activation, tolerance) if activation.dual is None else ClosedForm(activation)


class ClosedForm:
    """The activation's own formulas, scaled by a²; see ``Expectations``."""

    def __init__(self, activation: Scaled) -> None:
        assert activation.dual is not None
        self._dual, self._scale = activation.dual, activation.factor**2

    def marginals(self, q: Tensor) -> Marginals:
        moment = self._scale * self._dual(q, q, torch.ones_like(q))[0]
        return Marginals(q, moment, q.new_empty(2, 0, len(q)), 0.0)

    def joint(self, rows: Marginals, columns: Marginals, rho: Tensor) -> tuple[Tensor, Tensor]:
        values, slopes = self._dual(rows.variance[:, None], columns.variance, rho)
        return self._scale * values, self._scale * slopes


@dataclass(frozen=True)
class HermiteSeries:
    """Mehler's series, as long as the tolerance asks for; see ``Expectations``.

    Attributes:
        activation: φ; φ′ comes from autograd.
        tolerance: bound on r(q)/E g(√q z)², for φ and φ′ and every pattern. It bounds the relative error of both
            expectations at ρ = 1, and far from there nearly nothing is left of it.
    """

    activation: Scaled
    tolerance: float

    def marginals(self, q: Tensor) -> Marginals:
        """See ``Expectations.marginals``.

        The error that has to pass is what the terms leave out, plus the change of E g² with the last refinement of the
        quadrature, whose nodes grow with the terms.

        Raises:
            NumericalError: the last of ``TERMS`` is not enough: φ has a kink, is very steep, or overflows.
        """
        before, error = None, q.new_full((1,), math.inf)
        for terms in TERMS:
            moments, coefficients, left_out = self._expand(q, terms)
            if before is not None:
                error = left_out + _relative(moments - before, moments).max()
                passed = (error <= self.tolerance).nonzero()
                if len(passed):
                    n = int(passed[0]) + 1
                    return Marginals(q, moments[0], coefficients[:, :n].contiguous(), float(error[n - 1]))
            before = moments
        raise NumericalError(
            f"the kernel of infinite width needs more than {TERMS[-1]} Hermite terms for a relative error of "
            f"{self.tolerance:g}; they leave {error[-1]:.1e}. Use a larger tolerance, or give this activation its "
            "closed forms (Scaled.dual): a series does not suit a kink or a very steep function."
        )

    def joint(self, rows: Marginals, columns: Marginals, rho: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Expectations.joint``: Horner's rule in ρ."""
        values, slopes = (_mehler(rows.coefficients[g], columns.coefficients[g], rho) for g in (0, 1))
        return values, slopes

    def _expand(self, q: Tensor, terms: int) -> tuple[Tensor, Tensor, Tensor]:
        """E g² (2, P) and aₙ (2, terms, P) for g = φ, φ′; and the worst r(q)/E g² after 1 … terms of them, (terms,)."""
        nodes, table = hermite_rule(terms, q)
        moments, coefficients, left_out = [], [], []
        for some in q.split(PATTERNS_AT_ONCE):
            z = some.sqrt()[:, None] * nodes
            g = torch.stack([self.activation(z), derivative(self.activation, z)])
            # h₀ = 1, so the first row of the table is the Gaussian weight itself.
            moment, a = g.square() @ table[0], g @ table.mT
            remainder = moment[..., None] - a.square().cumsum(2)
            moments.append(moment)
            coefficients.append(a.mT)
            left_out.append(_relative(remainder, moment[..., None]).amax(dim=(0, 1)))
        return torch.cat(moments, 1), torch.cat(coefficients, 2), torch.stack(left_out).amax(0)


def _mehler(left: Tensor, right: Tensor, rho: Tensor) -> Tensor:
    """Σₙ aₙbₙρⁿ for coefficients (N, P1) and (N, P2) and ρ (P1, P2), by Horner's rule: (P1, P2)."""
    total = torch.zeros_like(rho)
    for a, b in zip(left.flip(0), right.flip(0), strict=True):
        total.mul_(rho).addcmul_(a[:, None], b)
    return total


def _relative(error: Tensor, value: Tensor) -> Tensor:
    """|error|/value for a value ≥ 0, and 0 where both are 0."""
    return error.abs() / value.clamp_min(torch.finfo(value.dtype).tiny)


def hermite_rule(terms: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes z (K,), and weights with which E g(z)hₙ(z) ≈ Σ_k table[n, k] g(z_k), n < terms: (terms, K).

    Gauss–Legendre on equal panels, with a border at 0, where activations have their kinks or their steepest part. The
    three-term recurrence runs on hₙ(z)e^{−z²/4}, which neither overflows nor underflows within the edges.
    """
    panels = math.ceil(EDGE * math.sqrt(terms) / PANEL_RADIANS)
    points, weights = np.polynomial.legendre.leggauss(PANEL_NODES)
    half = EDGE / (2 * panels)
    centres = (np.arange(-panels, panels) + 0.5) * 2 * half
    nodes = like.new_tensor((centres[:, None] + half * points).ravel())
    root = torch.exp(-nodes.square() / 4) / (2 * math.pi) ** 0.25
    table = like.new_empty(terms, len(nodes))
    table[0], table[1] = root, nodes * root
    for n in range(1, terms - 1):
        table[n + 1] = (nodes * table[n] - math.sqrt(n) * table[n - 1]) / math.sqrt(n + 1)
    return nodes, table.mul_(root * like.new_tensor(np.tile(half * weights, 2 * panels)))
