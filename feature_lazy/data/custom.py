"""A user's own data set."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.errors import DataError
from feature_lazy.data.prepare import Dataset, in_all


def split(load: Callable[[], Any], n_train: int, n_test: int, n_valid: int = 0) -> Dataset:
    """Patterns and labels as they come: the first n_train to train on, then n_test to test on, then n_valid.

    Nothing is shuffled, centred or scaled: that is the loader's.

    Args:
        load: returns patterns (N, …) and labels (N,), as tensors or arrays: y = ±1, or classes 0 … C − 1 as integers.
        n_train: P.
        n_test: P_test.
        n_valid: validation patterns.

    Raises:
        DataError: anything else, fewer patterns than are asked for, or numbers that are not finite.
    """
    found = load()
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise DataError(
            f"the target returns {type(found).__name__}; it must return two: patterns (N, …) and labels (N,)."
        )
    x, y = (torch.as_tensor(values).detach().cpu() for values in found)
    x = x.double()
    if y.shape != x.shape[:1] or x.dim() < 2:
        raise DataError(
            f"patterns have the shape {tuple(x.shape)} and labels {tuple(y.shape)}; they must be (N, …) and (N,)."
        )
    if len(x) < n_train + n_test + n_valid:
        raise DataError(f"there are {len(x)} patterns; {in_all(n_train, n_test, n_valid)}.")
    if not bool(x.isfinite().all()):
        raise DataError("the patterns have infinities or NaN among their numbers.")
    y, n_outputs = _labels(y)
    data = Dataset.of(x.flatten(1), y, n_train, n_test, n_valid)
    return replace(data, shape=tuple(x.shape[1:]), n_outputs=n_outputs)


def _labels(y: Tensor) -> tuple[Tensor, int]:
    """Labels ±1 as float64 for one output, or classes 0 … C − 1 as int64 for C outputs.

    All patterns count, so that the network does not depend on how many of them are used.

    Raises:
        DataError: other labels, or a single class.
    """
    if bool((y.double().abs() == 1).all()) and y.dtype != torch.bool:
        return y.double(), 1
    n_classes = 0 if y.dtype == torch.bool or y.is_floating_point() or bool((y < 0).any()) else int(y.max()) + 1
    if n_classes < 2:
        raise DataError("the labels must be +1 or −1, or two or more classes 0 … C − 1 as integers.")
    return y.long(), n_classes
