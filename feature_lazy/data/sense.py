"""Whether patterns and labels of a user's can be learnt and measured: said before training, with pattern or class."""

import hashlib
import logging
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from feature_lazy.core.errors import DataError
from feature_lazy.data.prepare import Dataset

log = logging.getLogger(__name__)

FAR = 10.0
"""Factor by which |x|²/d may differ from 1; times and √h·α are those of the article within about the same."""
CONTRADICTIONS, MISSING, SEEN = "contradictions", "missing", "seen"
"""What data may be declared to have: equal patterns with different labels, classes that the training or the test set
lacks, and test patterns that are training patterns."""


def check_sense(data: Dataset, allow: Sequence[str] = (), *, targets: bool = False) -> None:
    """Refuse data of which nothing can come, unless they are meant to be so.

    Args:
        data: patterns and labels of a user's own.
        allow: what is meant, of ``CONTRADICTIONS``, ``MISSING`` and ``SEEN``.
        targets: whether labels are real numbers, of which none needs to occur.

    Raises:
        DataError: one of them that is not.
    """
    declared = "; if that is meant, dataset.allow=[{}] says so."
    warn_scale(data.x_train)
    if MISSING not in allow and not targets:
        for part, y in {"training": data.y_train, "test": data.y_test}.items():
            present, wanted = _values(y), [-1, 1] if data.n_outputs == 1 else list(range(data.n_outputs))
            lacking = [value for value in wanted if value not in present]
            if lacking and (part == "training" or len(present) == 1):
                raise DataError(
                    f"no {part} pattern has the label {_signed(lacking[0], data.n_outputs)}: of all {len(y)} it is "
                    f"{' or '.join(_signed(value, data.n_outputs) for value in present)}. Shuffle the patterns, which "
                    "are taken in their order" + declared.format(MISSING)
                )
    if CONTRADICTIONS not in allow and (found := contradiction(data.x_train, data.y_train)):
        raise DataError(found + ", so that training never ends" + declared.format(CONTRADICTIONS))
    if SEEN not in allow:
        places = {row: place for place, row in enumerate(_rows(data.x_train))}
        seen = [(place, places[row]) for place, row in enumerate(_rows(data.x_test)) if row in places]
        if seen:
            raise DataError(
                f"{len(seen)} of {len(data.x_test)} test patterns are training patterns, the first of them number "
                f"{seen[0][0]}, which is training pattern {seen[0][1]}: a test error would measure nothing"
                + declared.format(SEEN)
            )


def contradiction(x: Tensor, y: Tensor) -> str:
    """The first two equal patterns (P, …) with different labels (P,), as the beginning of a sentence; or nothing."""
    first: dict[bytes, int] = {}
    labels = y.tolist()
    for place, row in enumerate(_rows(x.flatten(1))):
        other = first.setdefault(row, place)
        if labels[other] != labels[place]:
            pair = f"{labels[other]:g} and {labels[place]:g}"
            return f"training patterns {other} and {place} are equal and have the labels {pair}: no network fits both"
    return ""


def warn_scale(x: Tensor) -> None:
    """Say so if patterns (P, …) are far from |x|² = d, for which times and scales of the article are."""
    size = float(x.double().flatten(1).square().mean())
    if size and not 1 / FAR <= size <= FAR:
        _say(f"{size:.3g}")


@cache
def _say(size: str) -> None:
    """One warning a process, however often the same patterns are trained on."""
    log.warning(
        "|x|² is %s·d on average over the training patterns: kernels and speeds grow with it, and the article's times "
        "and √h·α are for |x|² = d. Scale the patterns if training is slow.",
        size,
    )


def _rows(x: Tensor) -> list[bytes]:
    """A hash for each pattern of x (P, d), equal for equal patterns; −0 is 0."""
    array = (x + 0.0).contiguous().cpu().numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in array]


def _values(y: Tensor) -> list[int]:
    return [int(value) for value in torch.unique(y).tolist()]


def _signed(value: int, n_outputs: int) -> str:
    return f"{value:+d}" if n_outputs == 1 else str(value)
