"""Intrinsic dimension by two nearest neighbours, of patterns and of the features behind a kernel.

Where the density of points hardly changes between a point's two nearest neighbours, at r₁ and r₂, the ratio μ = r₂/r₁
follows p(μ) = d·μ^{−d−1} whatever that density is: ln μ is exponential with rate d (Facco, d'Errico, Rodriguez and
Laio 2017, *Estimating the intrinsic dimension of datasets by a minimal neighborhood information*).

They fit a line to −ln(1 − F(μ)) over ln μ and leave out the largest tenth of μ, where the density does change. Here
those are left out as well, but d is the one that makes the censored sample likeliest (Epstein and Sobel 1953, *Life
testing*), made free of bias: with the n smallest of P values kept, d = (n − 1)/(Σ_kept ln μ + (P − n) ln μ_n). Points
of the line depend on each other, by an order in which the last ones are the most uncertain; this estimate weighs them
as it should, and has a known error: a little above d/√n.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from feature_lazy.core.memory import chunk_size, chunks
from feature_lazy.kernels.checks import finite, square, takes_arrays

TIES = 0.01
"""Share of points with r₁ = r₂ at most. Each adds nothing to Σ ln μ, so d is off by about this share."""
RESOLUTION = 100
"""Squared distances from a kernel carry the rounding of its diagonal: below so many ε of it, points are the same."""

Nearest = Callable[[slice], tuple[Tensor, Tensor]]
"""Some rows' points → squared distances to their two nearest neighbours in any order, and which: (…, rows, 2) each."""


@takes_arrays("patterns")
def intrinsic_dimension(patterns: Tensor, *, discard: float = 0.1, memory_limit: float = float("inf")) -> Tensor:
    """Intrinsic dimension d of patterns under the Euclidean distance.

    Args:
        patterns: vectors (…, P, D); leading axes, such as members, are sets of their own.
        discard: share of the largest ratios r₂/r₁ that is left out.
        memory_limit: bytes that distances may take; rows are done in blocks to keep it.

    Returns:
        d, (…), in float64, without unit.

    Raises:
        ValueError: patterns that are not finite, too few, equal, or as on a lattice.
    """
    if patterns.dim() < 2:
        raise ValueError(f"patterns have the shape {tuple(patterns.shape)}; they must be vectors, (…, P, D).")
    x = finite(patterns, "set of patterns").double()
    x = x - x.mean(-2, keepdim=True)  # leaves more digits to the products
    norms = x.square().sum(-1)

    def nearest(rows: slice) -> tuple[Tensor, Tensor]:
        # Products find the neighbours, sixteen times faster than differences, which then measure their distances.
        _, where = _nearest(x[..., rows, :] @ x.mT, norms, rows)
        at = where.flatten(-2)[..., None].expand(*where.shape[:-2], -1, x.shape[-1])
        neighbours = x.gather(-2, at).unflatten(-2, where.shape[-2:])
        return (neighbours - x[..., rows, None, :]).square().sum(-1), where

    return _two_nn(nearest, norms, discard, memory_limit)


@takes_arrays("theta")
def intrinsic_dimension_of_kernel(theta: Tensor, *, discard: float = 0.1, memory_limit: float = float("inf")) -> Tensor:
    """Intrinsic dimension d of the features behind Θ, by their distances d²_μν = Θ_μμ + Θ_νν − 2Θ_μν.

    Args:
        theta: Θ of each member, (M, P, P).
        discard: share of the largest ratios r₂/r₁ that is left out.
        memory_limit: bytes that distances may take beside Θ; rows are done in blocks to keep it.

    Returns:
        d, (M,), without unit.

    Raises:
        ValueError: a kernel that is not square or not finite, or whose patterns are too few, equal up to rounding, or
            as on a lattice.
    """
    diagonal = square(theta).diagonal(dim1=-2, dim2=-1)

    def nearest(rows: slice) -> tuple[Tensor, Tensor]:
        squared, where = _nearest(theta[..., rows, :], diagonal, rows)
        rounding = RESOLUTION * torch.finfo(theta.dtype).eps * diagonal[..., rows, None]
        return squared.where(squared > rounding, 0), where

    return _two_nn(nearest, diagonal, discard, memory_limit)


def _nearest(products: Tensor, diagonal: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    """As ``Nearest``, from some rows (…, rows, P) of a kernel and its diagonal (…, P)."""
    squared = diagonal[..., rows, None] + diagonal[..., None, :] - 2 * products
    squared.diagonal(rows.start, -2, -1).fill_(torch.inf)
    nearest, where = squared.topk(2, largest=False)
    return nearest, where


def _two_nn(nearest: Nearest, like: Tensor, discard: float, memory_limit: float) -> Tensor:
    """The estimate of d (…) for points that are like the rows of a tensor (…, P) in number and dtype.

    Raises:
        ValueError: points that are too few, the same, or as on a lattice.
    """
    n = like.shape[-1]
    kept = n - int(discard * n) if 0 <= discard < 1 else 0
    if n < 3 or kept < 2:
        raise ValueError(
            f"discard = {discard:g} of {n} patterns leaves too few: three are needed, and a share from 0 to below 1."
        )
    # Four of the size of a block: products, twice them, distances, and what topk sorts.
    size = chunk_size(n, 4 * like.numel() * like.element_size(), memory_limit)
    blocks = [nearest(rows) for rows in chunks(n, size)]
    squared, where = (torch.cat(parts, dim=-2) for parts in zip(*blocks, strict=True))
    if len(same := (squared == 0).nonzero()):
        pair = int(same[0, -2]), int(where[tuple(same[0])])
        raise ValueError(f"patterns {pair[0]} and {pair[1]} are the same up to rounding: leave out copies.")
    log_ratios = (squared.amax(-1) / squared.amin(-1)).log() / 2
    ties = float((log_ratios == 0).double().mean(-1).max())
    if ties > TIES:
        raise ValueError(
            f"{ties:.0%} of the patterns have their two nearest neighbours at the same distance, as on a lattice: "
            "these do not tell the dimension."
        )
    smallest = log_ratios.sort(dim=-1).values[..., :kept]
    return (kept - 1) / (smallest.sum(-1) + (n - kept) * smallest[..., -1])
