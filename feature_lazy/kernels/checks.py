"""What every function of a kernel refuses, in one place: numbers that would come out as NaN or as nonsense."""

import torch
from torch import Tensor


def finite(values: Tensor, what: str) -> Tensor:
    """The same values.

    Raises:
        ValueError: infinities or NaN among them.
    """
    if not bool(values.isfinite().all()):
        raise ValueError(
            f"the {what} has infinities or NaN among its entries. Where it comes from a run, the weights have diverged "
            "or overflow their dtype: take an earlier moment."
        )
    return values


def square(theta: Tensor, what: str = "kernel") -> Tensor:
    """The same kernel, (…, P, P).

    Raises:
        ValueError: another shape, or infinities or NaN in it.
    """
    if theta.dim() < 2 or theta.shape[-1] != theta.shape[-2]:
        raise ValueError(f"the {what} has the shape {tuple(theta.shape)}; it must be square, (…, P, P).")
    return finite(theta, what)


def norm(theta: Tensor) -> Tensor:
    """‖Θ‖_F of a kernel (…, P, P), which others can be divided by: (…).

    Raises:
        ValueError: a kernel that is not square, not finite, zero, or so large that its squares are not finite.
    """
    result = torch.linalg.matrix_norm(square(theta))
    if not bool((finite(result, "norm of the kernel") > 0).all()):
        raise ValueError("a kernel is zero: it has no direction.")
    return result
