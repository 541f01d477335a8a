"""Fingerprints: a few numbers of tensors, by which they are known again where numbers round differently."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.streams import stream

if TYPE_CHECKING:
    from torch import Tensor

PROJECTIONS = 4
HALF = 2.0**-26
"""√ε of double precision, of the norm. What a stable method makes of rounded numbers, such as an inverse or an
eigenvector, is right to half of its digits at least; a change of 1e-6 of the norm, one pixel of 10⁸ by a hundredth of
its size, is missed once in 10⁷, when all projections are far below their size."""
GRID = 1e-8
"""Spacing of the grid of a name, over the norm."""
EDGE = 1e-3
"""Distance from an edge, over the spacing, at which a number may have been rounded to either side."""
EDGES = 8
"""Numbers that are tried on both sides of an edge; of numbers at random two are there once in 10³."""
SHAPE = re.compile(r"(\d{1,18}(x\d{1,18})*)?")


@dataclass(frozen=True)
class Fingerprint:
    """A few numbers of some tensors: of each, X, in order, its shape, |X|, and aᵀXb/|X|.

    X is flat, and folded to a square; a and b are normal and fixed, so that aᵀXb/|X| is of order 1 for whatever X, and
    changes by δ where X changes by δ·|X|.

    Attributes:
        tensors: of each, its shape and its numbers.
        tolerance: how far numbers of the same may be apart: √ε of what they were computed in, or more.
        grid: that of the name.
    """

    tensors: tuple[tuple[str, tuple[float, ...]], ...]
    tolerance: float = HALF
    grid: float = GRID

    @classmethod
    def of(cls, *tensors: Tensor, tolerance: float = HALF, grid: float = GRID) -> Fingerprint:
        """That of some tensors, on any device."""
        return cls(tuple(map(_numbers, tensors)), tolerance, grid)

    @classmethod
    def read(cls, text: str) -> Fingerprint | None:
        """That of a text; None: it is only a name, or nobody's."""
        found = [tensor.split(" ") for tensor in text.split("; ")]
        if not all(len(words) == PROJECTIONS + 2 and SHAPE.fullmatch(words[0]) for words in found):
            return None
        try:
            return cls(tuple((shape, tuple(map(float, numbers))) for shape, *numbers in found))
        except ValueError:
            return None

    def __str__(self) -> str:
        """As it is stored: every digit."""
        return "; ".join(" ".join([shape, *map(repr, numbers)]) for shape, numbers in self.tensors)

    @property
    def name(self) -> str:
        """16 hexadecimal digits of the numbers, on a grid: the same for the same, but for one in 10⁴ on its edge."""
        return next(self._names())

    def agrees(self, other: str) -> bool:
        """Whether a stored fingerprint, or its name, is of the same tensors but for rounding."""
        known = Fingerprint.read(other)
        if known is None:
            return other in self._names()
        pairs = zip(self.tensors, known.tensors, strict=False)
        return len(self.tensors) == len(known.tensors) and all(self._near(one, two) for one, two in pairs)

    def _near(self, one: tuple[str, tuple[float, ...]], other: tuple[str, tuple[float, ...]]) -> bool:
        (shape, (norm, *mine)), (its_shape, (its_norm, *its)) = one, other
        return shape == its_shape and all(
            a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= self.tolerance * size
            for a, b, size in [(norm, its_norm, norm), *((a, b, 1.0) for a, b in zip(mine, its, strict=True))]
        )

    def _names(self) -> Iterator[str]:
        """That of the nearest points of the grid, and those of a point that rounding may have moved over an edge."""
        digits = round(-math.log10(self.grid)) - 1
        shapes, facts, edges = [], [], 0
        for shape, (norm, *projections) in self.tensors:
            shapes.append([int(n) for n in shape.split("x") if n])
            near = norm * EDGE * 10.0**-digits
            found = [
                _either(f"{value:.{digits}e}" for value in (norm, norm - near, norm + near)),
                *(_either(_whole(p / self.grid + d) for d in (0.0, -EDGE, EDGE)) for p in projections),
            ]
            edges += sum(len(one) > 1 for one in found)
            facts.append([one if edges <= EDGES else one[:1] for one in found])
        for tensors in itertools.product(*(itertools.product(*one) for one in facts)):
            text = json.dumps(list(zip(shapes, tensors, strict=True)))
            yield hashlib.sha256(text.encode()).hexdigest()[:16]


def shared_names(texts: Iterable[str]) -> dict[str, str]:
    """A name for each stored fingerprint, the same for those that agree."""
    found: dict[str, str] = {}
    several: list[tuple[Fingerprint, str]] = []
    for text in sorted(texts, key=len, reverse=True):  # names alone last, beside what they may be names of
        if text in found:
            continue
        known = Fingerprint.read(text)
        found[text] = next((name for one, name in several if one.agrees(text)), known.name if known else text)
        if known:
            several.append((known, found[text]))
    return found


def _either(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _whole(value: float) -> str:
    return f"{round(value)}" if math.isfinite(value) else f"{value:.0f}"


def _numbers(tensor: Tensor) -> tuple[str, tuple[float, ...]]:
    # By NumPy: PyTorch's threads wake for every product, and wait for the next one in a loop for 15 ms.
    flat = tensor.detach().cpu().double().flatten().numpy()
    side = math.isqrt(max(0, len(flat) - 1)) + 1
    whole, rest = divmod(len(flat), side)
    a, b = _normal(side)
    with np.errstate(all="ignore"):  # of outputs that are not finite
        projected = a[:, :whole] @ flat[: len(flat) - rest].reshape(whole, side)
        projected[:, :rest] += a[:, whole : whole + 1] * flat[len(flat) - rest :]
        norm = float(np.linalg.norm(flat))
        numbers = (projected * b).sum(1) / (norm or 1.0)
    return "x".join(map(str, tensor.shape)), (norm, *numbers.tolist())


@lru_cache(maxsize=8)
def _normal(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Fixed a and b, (projections, side): of 10⁸ numbers 10⁴ each."""
    a, b = (stream(0, "fingerprint", name).standard_normal((PROJECTIONS, side)) for name in ("a", "b"))
    return a, b
