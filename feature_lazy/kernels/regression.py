"""What a frozen kernel predicts at the end of training."""

import torch
from torch import Tensor

from feature_lazy.kernels.checks import check_symmetric, finite, square, takes_arrays


@takes_arrays("k_train", "k_test", "y")
def kernel_regression(
    k_train: Tensor, k_test: Tensor, y: Tensor, *, ridge: float = 0.0, dtype: torch.dtype = torch.float64
) -> Tensor:
    """F_test = K_test,train (K + λI)⁻¹ y: kernel ridge regression, by Cholesky.

    λ = ridge · tr K/P is relative to the mean diagonal of K, so that predictions do not change with the scale of the
    kernel. Without ridge it interpolates y, and is where the flow under a frozen kernel and mean square loss ends,
    t → ∞ (App. A).

    Args:
        k_train: K between training patterns, (M, P, P), symmetric.
        k_test: K between test and training patterns, (M, P_test, P).
        y: labels (P,), or C columns of them, (P, C).
        ridge: λ over the mean diagonal, ≥ 0, without unit.
        dtype: what all of it is done in.

    Returns:
        F on the test patterns in that dtype, (M, P_test) or (M, P_test, C).

    Raises:
        ValueError: shapes that do not fit, values that are not finite, a negative ridge, or a kernel that is not
            symmetric, or singular up to rounding.
    """
    k_train, k_test = square(k_train, "training kernel").to(dtype), finite(k_test, "test kernel").to(dtype)
    y = finite(y, "set of labels").to(dtype)
    n = k_train.shape[-1]
    if k_test.shape[-1] != n or len(y) != n or y.dim() > 2:
        raise ValueError(
            f"test kernel {tuple(k_test.shape)} and labels {tuple(y.shape)} do not fit {n} training patterns; "
            f"they must be (M, P_test, {n}), and ({n},) or ({n}, C)."
        )
    columns = y if y.dim() == 2 else y[:, None]
    check_symmetric(k_train)
    factor = _cholesky(k_train, ridge)
    weights = torch.cholesky_solve(columns.expand(*factor.shape[:-2], -1, -1), factor)
    predictions = k_test @ weights
    return predictions if y.dim() == 2 else predictions.squeeze(-1)


def _cholesky(kernel: Tensor, ridge: float) -> Tensor:
    """L with LLᵀ = K + ridge·(tr K/P)·I, (M, P, P).

    Raises:
        ValueError: a ridge below 0, or a matrix that is singular or not positive.
    """
    if not ridge >= 0:
        raise ValueError(f"ridge = {ridge:g}; it must not be negative.")
    diagonal = kernel.diagonal(dim1=-2, dim2=-1)
    shifted = kernel.clone()
    shifted.diagonal(dim1=-2, dim2=-1).add_(ridge * diagonal.mean(-1, keepdim=True))
    factor, failed = torch.linalg.cholesky_ex(shifted)
    # The square of a pivot is what a pattern adds to those before it; rounding of P products hides less than this.
    pivots = factor.diagonal(dim1=-2, dim2=-1).square().amin(-1)
    rounding = kernel.shape[-1] * torch.finfo(kernel.dtype).eps * diagonal.amax(-1)
    if bool(((failed > 0) | ~(pivots > rounding)).any()):
        raise ValueError(
            f"the kernel on {kernel.shape[-1]} patterns is singular up to rounding in {kernel.dtype}, or not positive, "
            f"at ridge={ridge:g}: leave out equal patterns, or set a larger ridge such as 1e-8."
        )
    return factor
