"""Eigenvalues of a kernel, and what they say: how fast they fall, and how many of them count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from feature_lazy.core.arrays import real, tensor
from feature_lazy.core.streams import stream
from feature_lazy.kernels.checks import finite, norm, square, takes_arrays

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse.linalg import LinearOperator

DENSE = 500
"""Patterns up to which all eigenvalues of a matrix take less than 20 ms, so that there is nothing to gain by ARPACK."""


@takes_arrays("theta")
def spectrum(theta: Tensor) -> Tensor:
    """All eigenvalues of Θ (M, P, P), descending: (M, P). Work 4P³/3 for each member.

    Raises:
        ValueError: a kernel that is not square or not finite.
    """
    return torch.linalg.eigvalsh(square(theta)).flip(-1)


def top_eigenvalues(kernel: Tensor | LinearOperator, k: int) -> Tensor:
    """The k largest eigenvalues, descending.

    Small matrices, and large parts of a spectrum, are diagonalised; else ARPACK finds them by products alone (Lehoucq,
    Sorensen and Yang 1998), from the same start vector each time. That vector is a random one, because a simple one,
    such as all ones, can be orthogonal to what is looked for. Of an eigenvalue that is exactly degenerate ARPACK can
    miss copies.

    Args:
        kernel: Θ of each member, (M, P, P), or the symmetric operator of one, (P, P), as from ``TangentOperator``.
        k: how many, from 1 to P, and below P for an operator.

    Returns:
        (M, k) for a matrix; (k,), on the CPU, for an operator.

    Raises:
        ValueError: a kernel that is not square or not finite, or a k out of range.
        ArpackNoConvergence: ARPACK did not find them (SciPy's; it carries those that it did find).
    """
    from scipy.sparse.linalg import LinearOperator  # a fifth of a second, which no training needs

    if not isinstance(kernel, LinearOperator):
        kernel = square(real(tensor(kernel, "entries of kernel"), "entries of kernel"))
    *members, rows, _ = kernel.shape
    most = rows - 1 if isinstance(kernel, LinearOperator) else rows
    if not 1 <= k <= most:
        raise ValueError(f"k = {k}; this kernel on {rows} patterns gives from 1 to {most} eigenvalues.")
    if isinstance(kernel, LinearOperator):
        return _arpack(kernel, k)
    if rows <= DENSE or 10 * k > rows:
        return spectrum(kernel)[..., :k]
    thetas = kernel.reshape(-1, rows, rows).cpu().numpy()
    return torch.stack([_arpack(theta, k) for theta in thetas]).reshape(*members, k).to(kernel.device)


def _arpack(kernel: LinearOperator | np.ndarray, k: int) -> Tensor:
    """The k largest eigenvalues of one member by ARPACK, descending: (k,)."""
    from scipy.sparse.linalg import eigsh

    start = stream(0, "arpack").standard_normal(kernel.shape[0]).astype(kernel.dtype)
    found = eigsh(kernel, k, which="LA", v0=start, return_eigenvectors=False)
    return torch.from_numpy(found).sort(descending=True).values


@takes_arrays("eigenvalues")
def spectral_decay(eigenvalues: Tensor, ranks: tuple[int, int]) -> Tensor:
    """Exponent s of λ_i ~ i^{−s}: minus the slope of log λ_i over log i by least squares, all ranks weighing the same.

    Args:
        eigenvalues: λ of each member, descending, (M, k), as from ``spectrum`` or ``top_eigenvalues``.
        ranks: first and last rank i of the fit, from 1 and both included. There is no default: a few first eigenvalues
            tend to stand apart, and the last ones feel the finite number of patterns, so that the range is part of the
            result.

    Returns:
        s, (M,), without unit.

    Raises:
        ValueError: ranks that are not there, eigenvalues that ascend, or some in the range that are only rounding.
    """
    first, last = ranks
    finite(eigenvalues, "spectrum")
    if not 1 <= first < last <= eigenvalues.shape[-1]:
        raise ValueError(f"ranks = {ranks}; with {eigenvalues.shape[-1]} eigenvalues 1 ≤ first < last ≤ that number.")
    if bool((eigenvalues.diff(dim=-1) > 0).any()):
        raise ValueError("eigenvalues must descend, λ_1 ≥ λ_2 ≥ …: rank 1 is the largest.")
    rounding = eigenvalues.shape[-1] * torch.finfo(eigenvalues.dtype).eps * eigenvalues[..., 0]
    if not bool((eigenvalues[..., last - 1] > rounding).all()):
        raise ValueError(f"the eigenvalue of rank {last} is rounding: end the fit at a lower rank.")
    log_rank = torch.arange(first, last + 1, dtype=eigenvalues.dtype, device=eigenvalues.device).log()
    log_rank -= log_rank.mean()
    return -(eigenvalues[..., first - 1 : last].log() @ log_rank) / log_rank.square().sum()


@takes_arrays("eigenvalues")
def effective_rank(eigenvalues: Tensor) -> Tensor:
    """exp(−Σ p_i ln p_i) with p_i = λ_i/Σλ: how many eigenvalues count (Roy and Vetterli 2007, *The effective rank*).

    Args:
        eigenvalues: all λ of each member, (M, P), as from ``spectrum``; it needs all of them, in any order.

    Returns:
        (M,), from 1, all in one direction, to P, the same in all directions.

    Raises:
        ValueError: eigenvalues that are not finite, all zero, or negative by more than rounding.
    """
    largest = finite(eigenvalues, "spectrum").amax(-1)
    # A kernel's own rounding is that of sums over its weights, above the √P·ε of its eigenvalues.
    if not bool((eigenvalues.amin(-1) >= -(torch.finfo(eigenvalues.dtype).eps ** 0.5) * largest).all()):
        raise ValueError("eigenvalues are negative beyond rounding: those of a kernel are not.")
    if not bool((largest > 0).all()):
        raise ValueError("all eigenvalues are zero: there is no direction to count.")
    p = eigenvalues.clamp(min=0)
    return torch.special.entr(p / p.sum(-1, keepdim=True)).sum(-1).exp()


@takes_arrays("theta")
def participation_ratio(theta: Tensor) -> Tensor:
    """(Σλ)²/Σλ² = (tr Θ)²/‖Θ‖_F²: like ``effective_rank``, and never above it, without the eigenvalues.

    Args:
        theta: Θ of each member, (M, P, P).

    Returns:
        (M,), from 1 to P.

    Raises:
        ValueError: a kernel that is not square, not finite, or zero.
    """
    return (theta.diagonal(dim1=-2, dim2=-1).sum(-1) / norm(theta)).square()
