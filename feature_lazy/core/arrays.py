"""The one door for arrays that a user gives: what they hold enters without loss, or is refused in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_lazy.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from torch import Tensor

NUMBERS = "biufc"
"""Kinds of NumPy's dtypes that are numbers: bool, integers, real and complex floating point."""
EXACT = 2**53
"""Up to here float64 has every integer."""


def tensor(values: Any, what: str) -> Tensor:
    """The same numbers as a dense tensor, in a dtype that PyTorch computes with; a tensor keeps its graph.

    A tensor, an array of any byte order and strides, a table, a sparse matrix, or nested lists. Floating point stays
    what it is, but for extended precision; unsigned integers of more than eight bits become signed ones.

    Args:
        values: what a user gave.
        what: how a message calls them, a noun in the plural.

    Raises:
        DataError: no numbers, lists of different lengths, masked numbers, or some that no such dtype holds.
    """
    import torch

    if not isinstance(values, torch.Tensor):
        values = torch.from_numpy(_array(values, what))
    found = values if values.layout == torch.strided else values.to_dense()
    if found.dtype in (torch.uint16, torch.uint32, torch.uint64):
        found = found.to(torch.int64)
        if found.numel() and int(found.min()) < 0:  # what began at 2⁶³ has wrapped around
            raise DataError(f"the {what} have integers of 2⁶³ or more, which int64 does not hold.")
    return found


def reals(values: Any, what: str) -> Tensor:
    """The same numbers as a tensor of float64 without a graph.

    Raises:
        DataError: see ``tensor``; or an imaginary part, or integers that float64 rounds.
    """
    found = real(tensor(values, what), what).detach()
    if not found.is_floating_point() and found.numel() and not -EXACT <= int(found.min()) <= int(found.max()) <= EXACT:
        raise DataError(f"the {what} have integers beyond ±2⁵³, which float64 rounds: subtract what they share.")
    return found.double()


def real(values: Tensor, what: str) -> Tensor:
    """The same numbers, complex ones without their imaginary part, which is 0.

    Raises:
        DataError: it is not.
    """
    if not values.is_complex():
        return values
    if bool((values.imag != 0).any()):
        raise DataError(
            f"the {what} are complex ({str(values.dtype).removeprefix('torch.')}), and only real numbers are taken: "
            "give real and imaginary parts as numbers of their own."
        )
    return values.real


def finite(values: Tensor, what: str) -> Tensor:
    """The same numbers.

    Raises:
        DataError: infinities or NaN among them; the message says where the first stands.
    """
    bad = ~values.isfinite()
    if bool(bad.any()):
        where = ", ".join(map(str, bad.nonzero()[0].tolist()))
        raise DataError(f"the {what} have infinities or NaN among them, the first at [{where}].")
    return values


def number(value: Any, name: str, *, gt: float = -math.inf, ge: float = -math.inf) -> float:
    """A finite real number.

    Args:
        value: what a user gave.
        name: of the argument.
        gt: it must be greater than this.
        ge: it must be at least this.

    Raises:
        ConfigError: something else.
    """
    try:
        found = float(value) if not isinstance(value, str) else math.nan
    except (TypeError, ValueError, RuntimeError):
        found = math.nan
    wanted = "" if gt == -math.inf else f" greater than {gt:g}"
    wanted = wanted if ge == -math.inf else f" of at least {ge:g}"
    if not (math.isfinite(found) and found > gt and found >= ge):
        raise ConfigError(f"{name}={value!r}: must be a finite number{wanted}.")
    return found


def numbers(values: Any, name: str, *, ge: float = -math.inf) -> list[float]:
    """Finite real numbers.

    Raises:
        ConfigError: something else.
    """
    if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
        raise ConfigError(f"{name}={values!r}: must be a list of numbers.")
    return [number(value, f"{name}[{index}]", ge=ge) for index, value in enumerate(values)]


def _array(values: Any, what: str) -> np.ndarray:
    """An array whose memory PyTorch can share, or that is a copy.

    Raises:
        DataError: see ``tensor``.
    """
    if hasattr(values, "toarray"):  # SciPy's sparse matrices
        values = values.toarray()
    if np.ma.is_masked(values):
        raise DataError(f"the {what} are masked in places: fill these in, or leave the patterns out.")
    try:
        found = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"the {what} are no array ({type(values).__name__}): {str(error).splitlines()[0]}") from error
    if found.dtype.kind not in NUMBERS:
        raise DataError(
            f"the {what} are no numbers (dtype {found.dtype}): give numbers; names of classes become numbers by "
            "np.unique(names, return_inverse=True)[1]."
        )
    plain = found.dtype.newbyteorder("=")
    if found.dtype.kind in "fc" and found.dtype.itemsize > {"f": 8, "c": 16}[found.dtype.kind]:
        plain = np.dtype("f8" if found.dtype.kind == "f" else "c16")
        if not np.array_equal(found.astype(plain), found, equal_nan=True):
            raise DataError(f"the {what} are of {found.dtype}, with digits that {plain} does not hold: round them.")
    return np.require(found.astype(plain, copy=False), requirements=["C", "W"])
