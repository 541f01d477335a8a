"""What is drawn, held against itself: drawn again it is the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.errors import FeatureLazyError

if TYPE_CHECKING:
    from torch import Tensor

OTHER_STATE = 7919
"""State of all generators while something is drawn again; any that is not theirs at the moment would do."""


@contextmanager
def disturbed() -> Iterator[None]:
    """The generators of Python, NumPy and PyTorch in another state, and at the end in the one that they had."""
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(OTHER_STATE)
            np.random.seed(OTHER_STATE)
            torch.manual_seed(OTHER_STATE)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def drawn(
    draw: Callable[[], Mapping[str, Tensor]], error: type[FeatureLazyError], what: str, advice: str
) -> Mapping[str, Tensor]:
    """What is drawn, if it is the same bit for bit when it is drawn again with all generators ``disturbed``.

    Args:
        draw: makes named tensors.
        error: what is raised.
        what: how they are called, in the plural.
        advice: what to do.

    Raises:
        FeatureLazyError: of the kind ``error``: another draw has other names, shapes or values.
    """
    first = draw()
    with disturbed():
        again = draw()
    if differing := [name for name in {**first, **again} if not _same(first.get(name), again.get(name))]:
        raise error(f"{what} are others each time that they are made, first {differing[0]!r}: {advice}")
    return first


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
