"""A user's own data set."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.arrays import finite, real, reals, tensor
from feature_lazy.core.errors import DataError
from feature_lazy.data.prepare import Dataset, in_all
from feature_lazy.data.sense import check_sense


def split(
    load: Callable[[], Any],
    n_train: int,
    n_test: int,
    n_valid: int = 0,
    *,
    allow: Sequence[str] = (),
    spare: bool = False,
    targets: bool = False,
) -> Dataset:
    """Patterns and labels as they come: the first n_train to train on, then n_test to test on, then n_valid.

    Nothing is shuffled, centred or scaled: that is the loader's.

    Args:
        load: returns patterns (N, …) and labels (N,), as ``core.arrays.tensor`` takes them: y = ±1, or classes
            0 … C − 1 as integers, or real numbers; beside real ones, if they are known, those without noise, f* (N,).
        n_train: P.
        n_test: P_test.
        n_valid: validation patterns.
        allow: what is meant of that which ``check_sense`` refuses.
        spare: take fewer test patterns where there are fewer.
        targets: whether labels are real numbers.

    Raises:
        DataError: anything else, fewer patterns than are asked for, numbers that float64 does not hold, or what
            ``check_sense`` refuses.
    """
    found = load()
    if not isinstance(found, tuple | list) or len(found) not in (2, 3):
        raise DataError(
            f"the target returns {type(found).__name__}; it must return two: patterns (N, …) and labels (N,)."
        )
    if len(found) == 3 and not targets:
        raise DataError(
            "the target returns three: the third are real labels without noise, which labels=regression has; return "
            "two, patterns (N, …) and labels (N,), or choose labels=regression loss=mse."
        )
    x = check_patterns(reals(found[0], "patterns")).cpu()
    y, *clean = (_targets(one) if targets else _marks(one) for one in found[1:])
    for one in (y, *clean):
        if one.shape != x.shape[:1]:
            raise DataError(
                f"patterns have the shape {tuple(x.shape)} and labels {tuple(one.shape)}; they must be (N, …) and (N,)."
            )
    if spare and 2 <= (left := len(x) - n_train - n_valid) < n_test:
        n_test = left
    if len(x) < n_train + n_test + n_valid:
        raise DataError(f"there are {len(x)} patterns; {in_all(n_train, n_test, n_valid)}.")
    y, n_outputs = (y, 1) if targets else _labels(y)
    data = Dataset.of(x.flatten(1), y, n_train, n_test, n_valid)
    data = replace(data, shape=tuple(x.shape[1:]), n_outputs=n_outputs)
    if clean:
        data = replace(data, f_test=clean[0][n_train : n_train + n_test])
    check_sense(data, allow, targets=targets)
    return data


def _marks(labels: Any) -> Tensor:
    return real(tensor(labels, "labels"), "labels").detach().cpu()


def _targets(labels: Any) -> Tensor:
    return finite(reals(labels, "labels").detach(), "labels").cpu()


def check_patterns(x: Tensor, what: str = "patterns") -> Tensor:
    """The same patterns, without a graph.

    Raises:
        DataError: there are none, they have no numbers, or some that are not finite.
    """
    if x.dim() < 2 or not x.numel():
        raise DataError(f"the {what} have the shape {tuple(x.shape)}; it must be (N, …), with a number at least.")
    return finite(x.detach(), what)


def _labels(y: Tensor) -> tuple[Tensor, int]:
    """Labels ±1 as float64 for one output, or classes 0 … C − 1 as int64 for C outputs.

    All patterns count, so that the network does not depend on how many of them are used.

    Raises:
        DataError: other labels, a single class, or one that never occurs.
    """
    if y.dtype != torch.bool and bool((y.abs() == 1).all()):
        return y.double(), 1
    n_classes = 0 if y.dtype == torch.bool or y.is_floating_point() or bool((y < 0).any()) else int(y.max()) + 1
    if n_classes < 2:
        raise DataError(
            "the labels must be +1 or −1, or two or more classes 0 … C − 1 as integers; with labels=regression "
            "loss=mse they may be any real numbers."
        )
    y = y.long()
    present = y.unique()
    if len(present) < n_classes:
        lacking = int((present != torch.arange(len(present))).nonzero()[0])
        raise DataError(
            f"class {lacking} never occurs among the {len(y)} labels, whose largest is {n_classes - 1}: number the "
            "classes 0 … C − 1 without gaps, as np.unique(labels, return_inverse=True)[1] does."
        )
    return y, n_classes
