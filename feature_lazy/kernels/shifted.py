"""Linear equations with a multiple of 1 added, for each member of a batch."""

import torch
from torch import Tensor


def shifted_solve(matrix: Tensor, shifts: Tensor, b: Tensor) -> Tensor:
    """(A + λ)⁻¹b for A (M, n, n), λ (M, 1) or (M, n) and b (M, n, k).

    NaN for a member whose A + λ is singular, not to stop the others.
    """
    whole = matrix.clone()
    whole.diagonal(dim1=1, dim2=2).add_(shifts)
    # One after another: of a batch from n = 256 on the LU of PyTorch 2.13 is wrong with several threads.
    pairs = [torch.linalg.solve_ex(own, its_b) for own, its_b in zip(whole, b, strict=True)]
    found, singular = (torch.stack(parts) for parts in zip(*pairs, strict=True))
    return torch.where((singular > 0)[:, None, None], torch.nan, found)
