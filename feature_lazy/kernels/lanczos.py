"""Spectra of symmetric operators by products alone: the Lanczos method with full reorthogonalisation."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from feature_lazy.core.memory import chunk_size
from feature_lazy.core.streams import stream

Product = Callable[[Tensor], Tensor]
"""A symmetric operator of each row: (R, N) → (R, N)."""
STEPS = 300
"""Products after which an eigenvalue that has not been found is given up."""
TOLERANCE = 1e-2
"""Bound ‖Av − λv‖/|λ| on the error of an eigenvalue; where λ lies apart from others its error is the square of that."""


class Density(NamedTuple):
    """A spectral density by stochastic Lanczos quadrature, of each row: Σ_i weights_i·δ(λ − nodes_i).

    Attributes:
        nodes: Ritz values, ascending, (R, m).
        weights: their weights, (R, m), 1 in sum: N times the mean of Σ weights·g(nodes) over rows estimates tr g(A).
    """

    nodes: Tensor
    weights: Tensor

    @property
    def ends(self) -> Tensor:
        """r_e = |λ_min/λ_max|, (R,) (Gabdullin, arXiv:2412.10146)."""
        return (self.nodes[..., 0] / self.nodes[..., -1]).abs()

    def negativity(self, power: float = 0.5) -> Tensor:
        """K_Hn = Σ_{λ < 0} |λw|ⁿ/Σ_{λ > 0} (λw)ⁿ over nodes λ with weights w, (R,) (the same paper).

        0 where no node is negative. It is a sum over nodes and no integral, so that it depends on how many there are.
        """
        parts = (self.nodes * self.weights).abs() ** power
        below, above = ((parts * side).sum(-1) for side in (self.nodes < 0, self.nodes > 0))
        return below / above


def rademacher(count: int, like: Tensor, *purpose: str) -> Tensor:
    """Vectors of random signs, the same each time, (count, N), with N, dtype and device of ``like`` (…, N)."""
    signs = [stream(0, *purpose, str(i)).integers(0, 2, like.shape[-1]) for i in range(count)]
    return torch.stack([2 * torch.from_numpy(sign) - 1 for sign in signs]).to(like)


def lanczos(product: Product, start: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Tridiagonal matrices of growing size, in orthonormal bases of Krylov spaces.

    Where such a space is exhausted, the basis goes on with a random vector, and the off-diagonal entry is 0.

    Args:
        product: A of each row.
        start: first vectors, (R, N), not zero; what is zero in them stays so in all vectors.
        steps: how many at most; never more than N.

    Yields:
        T_j (R, j, j) and the off-diagonal entry that would follow, (R,).
    """
    size = start.shape[1]
    steps = min(steps, int((start != 0).sum(1).min()))
    basis, q = start.new_empty(steps, len(start), size), start / start.norm(dim=1, keepdim=True)
    t, after = start.new_zeros(len(start), steps + 1, steps + 1), start.new_zeros(len(start))
    for j in range(steps):
        basis[j] = q
        t[:, j, j - 1] = t[:, j - 1, j] = after if j else 0.0
        z = product(q)
        t[:, j, j] = (q * z).sum(1)
        z = _orthogonal(z, basis[: j + 1])
        after = z.norm(dim=1)
        scale = t[:, : j + 1, : j + 1].abs().amax((1, 2))
        ended = after <= size * torch.finfo(z.dtype).eps * scale
        if bool(ended.any()):
            fresh = _orthogonal(rademacher(1, z, "lanczos", str(j)) * (start != 0), basis[: j + 1])
            z, after = torch.where(ended[:, None], fresh, z), after.masked_fill(ended, 0)
        yield t[:, : j + 1, : j + 1], after
        q = z / z.norm(dim=1, keepdim=True)


def _orthogonal(z: Tensor, basis: Tensor) -> Tensor:
    """The part of z (R, N) that is orthogonal to vectors (j, R, N); twice is enough (Parlett 1980)."""
    for _ in range(2):
        z = z - torch.einsum("jr,jrn->rn", torch.einsum("jrn,rn->jr", basis, z), basis)
    return z


def extremes(
    product: Product,
    start: Tensor,
    top: int,
    *,
    bottom: bool = False,
    tolerance: float = TOLERANCE,
    memory_limit: float = float("inf"),
) -> Tensor:
    """The largest eigenvalues of one operator, descending, and behind them its smallest one if it is asked for.

    NaN where ``STEPS`` products, or as many vectors as fit the memory limit, have not brought one within the tolerance.
    That is relative to each, because a smaller bound than |λ| tells a λ from 0, of which there are many in a Hessian.
    Of an eigenvalue that is exactly degenerate copies can be missing.

    Args:
        product: A, (1, N) → (1, N).
        start: first vector, (N,).
        top: how many of the largest, up to N.
        bottom: whether the smallest one too.
        tolerance: see ``TOLERANCE``.
        memory_limit: bytes for the vectors.

    Returns:
        (top,), or (top + 1,).
    """
    steps = max(top + 2, chunk_size(STEPS, start.numel() * start.element_size(), memory_limit))
    wanted = [*range(-1, -top - 1, -1), *([0] if bottom else [])]
    found = start.new_full((len(wanted),), torch.nan)
    for t, after in lanczos(product, start[None], steps):
        if t.shape[1] < len(wanted):
            continue
        values, vectors = _diagonalised(t[0])
        if not bool(values.isfinite().all()):
            break
        bounds = after * vectors[-1].abs()
        rounding = len(start) * torch.finfo(start.dtype).eps * values.abs().max()
        told = bounds <= (tolerance * values.abs()).clamp(min=rounding)
        found = torch.where(told, values, torch.nan)[wanted]
        if bool(told[wanted].all()):
            break
    return found


def _diagonalised(t: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and vectors; NaN of what is not finite, which products of a diverged network are not."""
    return torch.linalg.eigh(t) if bool(t.isfinite().all()) else (t[..., 0] * torch.nan, t * torch.nan)


def density(product: Product, start: Tensor, steps: int) -> Density:
    """Nodes and weights of the spectral density of each row from its own start (R, N) (Ubaru, Chen and Saad 2017)."""
    *_, (t, _) = lanczos(product, start, steps)
    nodes, vectors = _diagonalised(t)
    return Density(nodes, vectors[:, 0].square())
