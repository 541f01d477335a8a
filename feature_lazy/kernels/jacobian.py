"""The tangent kernel of any network from its Jacobian, in blocks: the way that needs to know nothing of the layers."""

import torch
from torch import Tensor

from feature_lazy.architectures.base import Architecture
from feature_lazy.memory import chunk_size, chunks
from feature_lazy.params import Params


def jacobian_kernel(
    architecture: Architecture,
    params: Params,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    memory_limit: float = float("inf"),
) -> Tensor:
    """Θ(x, x') = ∇_w f(w, x)·∇_w f(w, x') (eq. 5) for weights of E members, patterns (P1, d) and (P2, d): (E, P1, P2).

    Two blocks of the Jacobian are held at a time, each within half of ``memory_limit`` bytes.
    """
    columns = x1 if x2 is None else x2
    w = architecture.layout.flatten(params)
    per_row = 2 * architecture.layout.size * w.element_size()
    theta = w.new_zeros(len(w), len(x1), len(columns))
    size = chunk_size(max(len(x1), len(columns)), per_row, memory_limit)
    for member in range(len(w)):
        for rows in chunks(len(x1), size):
            left = _jacobian(architecture, w[member], x1[rows])
            for across in chunks(len(columns), size):
                if x2 is None and across.start < rows.start:
                    theta[member, rows, across] = theta[member, across, rows].mT
                else:
                    same = x2 is None and across == rows
                    right = left if same else _jacobian(architecture, w[member], columns[across])
                    theta[member, rows, across] = left @ right.mT
    return theta


def _jacobian(architecture: Architecture, w: Tensor, x: Tensor) -> Tensor:
    """∇_w f of each pattern (P, d), flat: (P, N)."""

    def f(w: Tensor, pattern: Tensor) -> Tensor:
        return architecture.apply(architecture.layout.unflatten(w[None]), pattern[None])[0, 0]

    return torch.func.vmap(torch.func.grad(f), in_dims=(None, 0))(w, x).detach()
