"""Kernels of the fully connected network as every hidden width goes to infinity (Jacot et al., arXiv:1806.07572).

From Σ = x·x′/d and Θ = Σ + b², each hidden layer maps Σ → E φ(u)φ(v) and Θ → E φ(u)φ(v) + b² + Θ·E φ′(u)φ′(v), where
(u, v) are Gaussian with the covariance that Σ gives to x and x′. After L layers Σ is the covariance of the outputs at
initialisation (NNGP), and Θ the tangent kernel (eq. 5), the same for every initialisation and at rest during training.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from feature_lazy.core.arrays import reals
from feature_lazy.core.errors import NumericalError
from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.limits.dual import Expectations, Marginals, correlation, expectations

# Entries of a kernel done at once: a few temporaries of 2 MB, which stay in the cache.
BLOCK_ENTRIES = 2**18
UNIT = 1e-12
"""How far from 1 a variance is 1: what rounding and quadrature of E φ² leave."""


@dataclass(frozen=True)
class InfiniteKernels:
    """Kernels of the infinitely wide network, in float64.

    Attributes:
        ntk: Θ∞(x, x′), (P1, P2); of surrogate gradients not symmetric, with f at x and what updates at x′.
        nngp: Σ∞(x, x′) = E f(x)f(x′) at initialisation, (P1, P2).
        error: bound on the relative error of E φ(u)φ(v) and E φ′(u)φ′(v) in every layer; 0 for closed forms. It is met
            where two patterns (nearly) coincide; there Θ is off by 1.2 times as much at depth 3 and 3 times at depth 9,
            as measured for softplus with β = 5. Apart from there, rounding is all.
    """

    ntk: Tensor
    nngp: Tensor
    error: float


@dataclass(frozen=True)
class _Network:
    """The infinitely wide network on its patterns: what every block of its kernels needs.

    Attributes:
        x: patterns (P, d).
        expectations: of its activation.
        names: equal numbers for equal patterns, (P,).
        layers: what they need of each pattern in each hidden layer.
        bias_slope: b², which each layer's bias adds to Θ.
        bias_variance: (b·bias_std)², which it adds to Σ.
    """

    x: Tensor
    expectations: Expectations
    names: Tensor
    layers: list[Marginals]
    bias_slope: float
    bias_variance: float

    @classmethod
    def on(cls, x: Tensor, activation: Scaled, depth: int, tolerance: float, *, bias: float, std: float) -> Self:
        """Carry the variance of each pattern alone through the layers."""
        rule = expectations(activation, tolerance, surrogates=True)
        variance = (bias * std) ** 2
        layers: list[Marginals] = []
        q = _at_rest(x.square().mean(1) + variance)
        for _ in range(depth):
            layers.append(rule.marginals(q))
            q = _at_rest(layers[-1].moment + variance)
        return cls(x, rule, x.unique(dim=0, return_inverse=True)[1], layers, bias**2, variance)

    def block(self, rows: slice, columns: slice) -> tuple[Tensor, Tensor]:
        """Θ and Σ between some patterns and others."""
        same = self.names[rows, None] == self.names[columns]
        values = self.x[rows] @ self.x[columns].mT / self.x.shape[1]
        ntk = values + self.bias_slope
        for layer in self.layers:
            left, right = layer.of(rows), layer.of(columns)
            rho = correlation(values + self.bias_variance, left, right, same)
            values, slopes = self.expectations.joint(left, right, rho)
            ntk = values + self.bias_slope + ntk * slopes
        return ntk, values + self.bias_variance


def _at_rest(q: Tensor) -> Tensor:
    """The same variances, 1 where they are that but for rounding, which layers multiply where φ is chaotic."""
    return torch.where((q - 1).abs() <= UNIT, 1.0, q)


def infinite_kernels(
    activation: Scaled,
    depth: int,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    bias: float = 0.0,
    bias_std: float = 0.0,
    tolerance: float = 1e-10,
) -> InfiniteKernels:
    """Θ∞ and Σ∞ of the fully connected network of ``depth`` hidden layers (eqs. 11–14), every width → ∞.

    Work: for each pair of patterns and layer a closed form, or a series of a few hundred terms (see ``dual``).

    Args:
        activation: φ.
        depth: number of hidden layers, L ≥ 1.
        x1: patterns (P1, d), of any norm.
        x2: patterns (P2, d); ``x1`` if omitted.
        bias: b of App. J, zˡ⁺¹ = Wˡxˡ/√h + b·Bˡ, in every layer from the first to the output's.
        bias_std: standard deviation of the parameters Bˡ at initialisation: 0 in App. J, 1 in many other codes.
        tolerance: relative error of the expectations in each layer, where the activation has no closed form.

    Returns:
        Both kernels, and the error of the expectations that was reached.

    Raises:
        ValueError: patterns that are not finite or not matrices of one d, or a depth below 1.
        NumericalError: a kernel that is not finite, or an activation whose series does not reach the tolerance.
    """
    symmetric, sets = x2 is None, check_patterns(x1, x2)
    x1 = sets[0]
    if depth < 1:
        raise ValueError(f"depth = {depth}: a network has at least one hidden layer.")
    # Rows and columns in one set, since a series must have as many terms for both.
    x = torch.cat(sets)
    first = 0 if symmetric else len(x1)
    mirrored = symmetric and not activation.by_surrogate
    network = _Network.on(x, activation, depth, tolerance, bias=bias, std=bias_std)
    ntk, nngp = x.new_empty(2, len(x1), len(x) - first)
    for rows in chunks(len(x1), chunk_size(len(x1), ntk.shape[1], BLOCK_ENTRIES)):
        # A symmetric kernel is done from the diagonal on, and mirrored.
        columns = slice(rows.start if mirrored else first, len(x))
        for kernel, block in zip((ntk, nngp), network.block(rows, columns), strict=True):
            kernel[rows, columns.start - first :] = block
            if mirrored:
                kernel[rows.stop :, rows] = kernel[rows, rows.stop :].mT
    return finite_kernels(InfiniteKernels(ntk, nngp, max(layer.error for layer in network.layers)))


def check_patterns(x1: Tensor, x2: Tensor | None, d: int | None = None) -> list[Tensor]:
    """The patterns that were given, one set or two, as float64.

    Raises:
        ValueError: patterns that are not finite, or not matrices of one d, which may be known.
    """
    sets = [reals(x, "patterns") for x in (x1, x2) if x is not None]
    wanted = sets[0].shape[-1] if d is None else d
    if any(x.dim() != 2 or x.shape[1] != wanted or not x.isfinite().all() for x in sets):
        shapes = " and ".join(str(tuple(x.shape)) for x in sets)
        has = "with one d" if d is None else f"and the network's d is {d}"
        raise ValueError(f"patterns have the shapes {shapes}; they must be finite, of shape (P, d) {has}.")
    return sets


def finite_kernels(kernels: InfiniteKernels) -> InfiniteKernels:
    """The same kernels.

    Raises:
        NumericalError: one of them is not finite.
    """
    if not (kernels.ntk.isfinite().all() and kernels.nngp.isfinite().all()):
        raise NumericalError("the kernel of infinite width is not finite: patterns, bias or activation are too large.")
    return kernels
