"""What is drawn, held against itself: drawn again it is the same, and drawn later it is known again."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

OTHER_STATE = 7919
"""State of all generators while something is drawn again; any that is not theirs at the moment would do."""
PROJECTIONS = 4
GRID = 1e-8
"""Of the norm: rounding, which differs from machine to machine, is below 1e-13 of it, and any change worth the name
above: one pixel of 10⁸ by a hundredth of its size."""


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


def fingerprint(*tensors: Tensor, grid: float = GRID) -> str:
    """16 hexadecimal digits of what tensors hold beyond rounding: the same on machines that round differently.

    Of each, flat in a square X, its shape, its norm, and a few projections aᵀXb on normal a and b, which are fixed,
    on a grid, over the norm. Two that differ by less than that have the same, but for one in 10⁴ on its edge.
    """
    facts = [_facts(tensor, grid) for tensor in tensors]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _facts(tensor: Tensor, grid: float) -> tuple[list[int], list[str]]:
    import torch

    flat = tensor.detach().cpu().double().flatten()
    side = math.isqrt(max(0, len(flat) - 1)) + 1
    square = torch.nn.functional.pad(flat, (0, side**2 - len(flat))).view(side, side)
    a, b = (torch.from_numpy(stream(0, "fingerprint", name).standard_normal((PROJECTIONS, side))) for name in "ab")
    norm = float(torch.linalg.vector_norm(flat))
    numbers = (((a @ square) * b).sum(1) / (grid * norm or 1.0)).round() + 0.0  # there is no −0
    return list(tensor.shape), [
        f"{norm:.{round(-math.log10(grid)) - 1}e}",
        *(f"{number:.0f}" for number in numbers.tolist()),
    ]
