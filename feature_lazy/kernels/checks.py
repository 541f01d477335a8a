"""What is refused of a kernel, in one place: as it is made, and by every function of it."""

import torch
from torch import Tensor

from feature_lazy.core.errors import NumericalError


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


def kernel_entries(theta: Tensor, where: str) -> Tensor:
    """The same part of a kernel as it is made, of any shape; nothing of its size is made to look at it.

    Raises:
        NumericalError: infinities or NaN among its entries; ``where`` says which entries these are.
    """
    # A sum may overflow where no entry has; NaN is the extremum of what holds it.
    if not (theta.sum().isfinite() or all(extremum.isfinite() for extremum in theta.aminmax())):
        raise NumericalError(
            f"Θ has infinities or NaN {where}: a weight, a pattern, the network or its gradient (such as that of √ at "
            f"0) is not finite, or Θ is too large for {theta.dtype}."
        )
    return theta


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
