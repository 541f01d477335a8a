"""Refusals of kernels, in one place: where a kernel is made, and in every function that takes one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from feature_lazy.core.arrays import real, tensor
from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.networks.base import Network
from feature_lazy.networks.layout import Params

F = TypeVar("F", bound=Callable[..., Any])


def takes_arrays(*names: str) -> Callable[[F], F]:
    """A decorator: the named arguments may be any arrays of real numbers, and the function gets tensors.

    Complex numbers, text and what else is no array of real numbers raise a ``DataError``, by the argument's name.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            for name in names:
                if (value := bound.arguments.get(name)) is not None:
                    what = f"entries of {name}"
                    bound.arguments[name] = real(tensor(value, what), what)
            return function(*bound.args, **bound.kwargs)

        return cast(F, call)

    return decorate


def of_network(architecture: Network, params: Params, x1: Tensor, x2: Tensor | None) -> Params:
    """Weights for which a kernel can be made, of the network's names and shapes.

    Raises:
        ConfigError: others, or patterns of another dtype or d, or none.
    """
    found = {name: tensor(weight, f"entries of weight {name!r}") for name, weight in params.items()}
    for name, shape in architecture.layout.shapes.items():
        weight = found.get(name)
        if weight is None or tuple(weight.shape[1:]) != tuple(shape):
            has = "is missing" if weight is None else f"has the shape {tuple(weight.shape)}"
            raise ConfigError(
                f"weight {name!r} {has}; the network's is (M, {', '.join(map(str, shape))}) of M members."
            )
    some = next(iter(found.values()))
    for x in (x1,) if x2 is None else (x1, x2):
        wrong = x.is_floating_point() and x.dtype != some.dtype
        if x.dim() not in (2, 3) or not x.numel() or x.shape[-1] != x1.shape[-1] or wrong:
            raise ConfigError(
                f"patterns have the shape {tuple(x.shape)} and weights are {some.dtype}, patterns {x.dtype}: patterns "
                "must be (P, d), some, all of one d, and of the weights' dtype."
            )
    return found


def check_symmetric(kernel: Tensor) -> None:
    """Refuse a kernel on a training set, (…, P, P), that is not symmetric.

    Raises:
        ValueError: it is not symmetric, beyond what rounding does.
    """
    asymmetry, size = (kernel - kernel.mT).abs().max(), kernel.abs().max()
    if asymmetry > torch.finfo(kernel.dtype).eps ** 0.5 * size:
        raise ValueError(f"the kernel of the training set is not symmetric, by {float(asymmetry / size):.2g} of it.")


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


def kernel_entries(theta: Tensor, where: str | Callable[[Tensor], str]) -> Tensor:
    """The same part of a kernel as it is made, of any shape; nothing of its size is made to look at it.

    Raises:
        NumericalError: infinities or NaN among its entries; ``where`` says which entries these are, a function of the
            place of the first.
    """
    # A sum may overflow where no entry has; NaN is the extremum of what holds it.
    if not (theta.sum().isfinite() or all(extremum.isfinite() for extremum in theta.aminmax())):
        said = where if isinstance(where, str) else where((~theta.isfinite()).nonzero()[0])
        raise NumericalError(
            f"Θ has infinities or NaN {said}: a weight, a pattern, the network or its gradient (such as that of √ at "
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
