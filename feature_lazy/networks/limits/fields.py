"""Kernels of infinite width between positions of patterns, for networks that use one weight at many of them.

A layer of infinitely many channels has, for each pair of patterns, a covariance for every pair of positions p, q; a
convolution takes its mean over what both windows see (Novak et al., arXiv:1810.05148; of Θ: Arora et al.,
arXiv:1904.11955):

    Σ′(p, q) = (1/s²) Σ_δ Σ(rp + δ, rq + δ),   Θ′(p, q) = Σ′(p, q) + b² + (1/s²) Σ_δ Θ(rp + δ, rq + δ),

for windows of side s, stride r and zeros around; φ makes E φ(u)φ(v) of Σ, and Θ·E φ′(u)φ′(v) of Θ. All pairs of
positions are held, of a block of pairs of patterns at a time: side⁴ numbers for each.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional

from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.geometry import ImageShape, Window
from feature_lazy.networks.limits.dual import Expectations, correlation, expectations
from feature_lazy.networks.limits.infinite import InfiniteKernels, check_patterns, finite_kernels
from feature_lazy.networks.sequences import Tokens

BLOCK_ENTRIES = 2**20
"""Numbers of one kernel in a block of patterns: 8 MB, of which some ten are held. With many fewer, what the series of
an activation needs of each position alone would cost more than what it needs of pairs."""
TOLERANCE = 1e-10
"""Relative error of expectations without a closed form."""


@dataclass(frozen=True)
class Field:
    """What is known of one layer of infinite width, between positions of P1 patterns and of P2 others.

    Attributes:
        nngp: Σ(p, q), (P1, P2, *positions of p, *positions of q).
        ntk: Θ(p, q), of the same shape.
        variance: Σ(p, p) of each pattern with itself, of the P1 and then of the P2: (P1 + P2, *positions).
        same: which pairs of patterns are equal, (P1, P2).
        rule: expectations of the activation.
        error: see ``InfiniteKernels``.
    """

    nngp: Tensor
    ntk: Tensor
    variance: Tensor
    same: Tensor
    rule: Expectations
    error: float = 0.0

    def activated(self) -> "Field":
        """The same after φ.

        Raises:
            NumericalError: an activation whose expectations are not to be had.
        """
        n, places = len(self.nngp), self.variance[0].numel()
        marginals = self.rule.marginals(self.variance.flatten())
        left, right = marginals.of(slice(0, n * places)), marginals.of(slice(n * places, None))
        # Of equal patterns each position is one with itself, and not with the others.
        one = torch.kron(self.same, torch.eye(places, dtype=torch.bool, device=self.same.device))
        rho = correlation(_matrix(self.nngp, places), left, right, one)
        values, slopes = (_tensor(one, self.nngp) for one in self.rule.joint(left, right, rho))
        variance = marginals.moment.view_as(self.variance)
        return replace(
            self, nngp=values, ntk=self.ntk * slopes, variance=variance, error=max(self.error, marginals.error)
        )

    def convolved(self, window: Window, bias: float = 0.0) -> "Field":
        """The same after a convolution, and a bias that begins as 0 with this factor; positions are rows × columns."""
        nngp, ntk = (_seen_by_both(window, one) for one in (self.nngp, self.ntk))
        variance = functional.avg_pool2d(self.variance[:, None], window.size, window.stride, window.padding)[:, 0]
        return replace(self, nngp=nngp, ntk=nngp + ntk + bias**2, variance=variance)

    def mixed(self, other: "Field", share: float) -> "Field":
        """√share of this layer and √(1 − share) of another, whose last weights are its own."""
        return self.scaled(share).plus(other.scaled(1 - share))

    def plus(self, other: "Field") -> "Field":
        """The sum of this layer and of another, whose last weights are its own."""
        parts = {name: getattr(self, name) + getattr(other, name) for name in ("nngp", "ntk", "variance")}
        return replace(self, **parts, error=max(self.error, other.error))

    def scaled(self, square: float) -> "Field":
        """The same times a number with this square."""
        return replace(self, nngp=square * self.nngp, ntk=square * self.ntk, variance=square * self.variance)

    def dense(self) -> "Field":
        """The same after one weight that acts at every position by itself."""
        return replace(self, ntk=self.nngp + self.ntk)

    def averaged(self) -> "Field":
        """A dense layer of one output on the mean over positions."""
        places = tuple(range(2, self.nngp.dim()))
        return replace(self, nngp=self.nngp.mean(places), ntk=self.ntk.mean(places)).dense()


@dataclass(frozen=True)
class Images:
    """Flat patterns as images, before the first layer.

    Attributes:
        left: P1 patterns (P1, d).
        right: P2 patterns (P2, d).
        shape: of an image.
        rule: expectations of the network's activation.
    """

    left: Tensor
    right: Tensor
    shape: ImageShape
    rule: Expectations

    def seen_by(self, window: Window, bias: float = 0.0) -> Field:
        """After the network's first convolution, and a bias that begins as 0 with this factor."""
        both = torch.cat([self.left, self.right])
        names = both.unique(dim=0, return_inverse=True)[1]
        n, side = len(self.left), window.positions(self.shape[1])
        patches = functional.unfold(both.unflatten(1, self.shape), window.size, 1, window.padding, window.stride).mT
        patches = patches / patches.shape[2] ** 0.5
        rows, columns = patches[:n].flatten(0, 1), patches[n:].flatten(0, 1)
        nngp = (rows @ columns.mT).unflatten(1, (-1, side, side)).unflatten(0, (-1, side, side)).movedim(3, 1)
        variance = patches.square().sum(2).unflatten(1, (side, side))
        return Field(nngp, nngp + bias**2, variance, names[:n, None] == names[n:], self.rule)


def image_kernels(
    through: Callable[[Images], Field],
    activation: Scaled,
    shape: ImageShape,
    positions: int,
    x1: Tensor,
    x2: Tensor | None,
) -> InfiniteKernels:
    """Θ∞ and Σ∞ of a network of convolutions, block by block.

    Args:
        through: the network.
        activation: φ.
        shape: of an image.
        positions: most that one of its layers has.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted.

    Raises:
        ValueError: patterns that are not finite, or no such images.
        NumericalError: a kernel that is not finite, or an activation whose expectations are not to be had.
    """
    rule = expectations(activation, TOLERANCE)
    d = shape[0] * shape[1] * shape[2]
    return in_blocks(lambda left, right: through(Images(left, right, shape, rule)), d, positions, x1, x2)


def in_blocks(
    through: Callable[[Tensor, Tensor], Field | InfiniteKernels], d: int, positions: int, x1: Tensor, x2: Tensor | None
) -> InfiniteKernels:
    """Both kernels of patterns (P1, d) and (P2, d), block by block; see ``image_kernels``."""
    symmetric, (x1, *rest) = x2 is None, check_patterns(x1, x2, d)
    x2 = x1 if symmetric else rest[0]
    size = chunk_size(max(len(x1), len(x2)), positions, isqrt(BLOCK_ENTRIES))
    ntk, nngp, error = *x1.new_empty(2, len(x1), len(x2)), 0.0
    for rows in chunks(len(x1), size):
        for columns in chunks(len(x2), size):
            if symmetric and columns.start < rows.start:
                continue
            field = through(x1[rows], x2[columns])
            error = max(error, field.error)
            for whole, block in ((ntk, field.ntk), (nngp, field.nngp)):
                whole[rows, columns] = block
                if symmetric and columns != rows:
                    whole[columns, rows] = block.mT
    return finite_kernels(InfiniteKernels(ntk, nngp, error))


@dataclass(frozen=True)
class TokenLimit(ABC):
    """A network of infinite width that reads patterns as tokens.

    Attributes:
        tokens: how patterns are read.
        activation: φ.
    """

    tokens: Tokens
    activation: Scaled

    def kernels(self, x1: Tensor, x2: Tensor | None) -> InfiniteKernels:
        """Θ∞ and Σ∞ of patterns (P1, d) and (P2, d), ``x1`` if omitted.

        Raises:
            ValueError: patterns that are not finite, or not of the network's size.
            NumericalError: a kernel that is not finite, or an activation whose expectations are not to be had.
        """
        tokens = self.tokens
        return in_blocks(self._block, tokens.number * tokens.size, tokens.number, x1, x2)

    @abstractmethod
    def _block(self, left: Tensor, right: Tensor) -> InfiniteKernels:
        """Both kernels between some patterns and others."""


def _seen_by_both(window: Window, kernel: Tensor) -> Tensor:
    """Mean of (P1, P2, H, W, H, W) over what windows at two positions see, each entry of one with its like."""
    kernel = functional.pad(kernel, [window.padding] * 8)
    for axis in (2, 3):
        n = (kernel.shape[axis] - window.size) // window.stride + 1
        parts = (
            kernel.narrow(axis, at, (n - 1) * window.stride + 1).narrow(axis + 2, at, (n - 1) * window.stride + 1)
            for at in range(window.size)
        )
        every = [slice(None)] * 6
        every[axis] = every[axis + 2] = slice(None, None, window.stride)
        kernel = reduce(torch.add, (part[tuple(every)] for part in parts)) / window.size
    return kernel


def _matrix(kernel: Tensor, places: int) -> Tensor:
    """(P1, P2, …, …) as (P1·places, P2·places)."""
    return kernel.reshape(*kernel.shape[:2], places, places).movedim(2, 1).flatten(2, 3).flatten(0, 1)


def _tensor(matrix: Tensor, like: Tensor) -> Tensor:
    """The inverse of ``_matrix``."""
    places = len(matrix) // len(like)
    return matrix.unflatten(1, (-1, places)).unflatten(0, (-1, places)).movedim(2, 1).reshape(like.shape)
