"""A user's own data set."""

from collections.abc import Callable
from typing import Any

import torch

from feature_lazy.datasets.prepare import Dataset
from feature_lazy.errors import DataError


def split(load: Callable[[], Any], n_train: int, n_test: int) -> Dataset:
    """Patterns and labels as they come: the first n_train to train on, the next n_test to test on.

    Nothing is shuffled, centred or scaled: that is the loader's.

    Args:
        load: returns patterns (N, …) and labels y = ±1, (N,), as tensors or arrays.
        n_train: P.
        n_test: P_test.

    Raises:
        DataError: anything else, fewer patterns than are asked for, or numbers that are not finite.
    """
    found = load()
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise DataError(
            f"the target returns {type(found).__name__}; it must return two: patterns (N, …) and labels (N,)."
        )
    x, y = (torch.as_tensor(values).detach().to("cpu", torch.float64) for values in found)
    if y.shape != x.shape[:1] or x.dim() < 2:
        raise DataError(
            f"patterns have the shape {tuple(x.shape)} and labels {tuple(y.shape)}; they must be (N, …) and (N,)."
        )
    if len(x) < n_train + n_test:
        raise DataError(
            f"there are {len(x)} patterns; dataset.n_train + dataset.n_test = {n_train} + {n_test} asks for "
            f"{n_train + n_test}."
        )
    if not bool(x.isfinite().all()):
        raise DataError("the patterns have infinities or NaN among their numbers.")
    if not bool((y.abs() == 1).all()):
        raise DataError("the labels must be +1 or −1.")
    train, test = slice(n_train), slice(n_train, n_train + n_test)
    flat = x.flatten(1)
    return Dataset(flat[train], y[train], flat[test], y[test], tuple(x.shape[1:]))
