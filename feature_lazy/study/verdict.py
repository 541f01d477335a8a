"""What is expected of a law, what is measured, and whether the two agree: the one court."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feature_lazy.study.estimate import Estimate

AGREES, DIFFERS, CANNOT_TELL = "agrees", "differs", "cannot tell"
HEURISTIC = 0.2
"""How far an exponent may be from one of the article's heuristics (eqs. 24, 30), relative: at L = 3 the article and its
authors' code have 1.2 … 1.6 where 1.5 is expected, and 0.23 … 0.30 where 0.25 is."""
NUMERICAL = 0.01
"""An exponent this near is the expected one, where the law does not say how far it may be: training follows the flow
to about 1 % (``dynamics.tolerance``)."""


@dataclass(frozen=True)
class Reading:
    """A law as one sweep shows it.

    Attributes:
        expected: value.
        measured: value ± half the width of its 95 % confidence interval over seeds, or what is missing.
        verdict: ``agrees``, ``differs`` or ``cannot tell``.
        estimate: the number behind ``measured``; None if there is none.
        target: the number behind ``expected``; NaN if it is no number.
        name: what is said; that of the law where a law says one thing.
        where: figure or equation, and the part of the sweep that it is measured on.
        paper: in which paper, as arXiv numbers it.
        failed: whether there is none because the law's own code failed.
    """

    expected: str
    measured: str
    verdict: str
    estimate: Estimate | None = None
    target: float = float("nan")
    name: str = ""
    where: str = ""
    paper: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Expected:
    """A number that a law predicts, how far from it still counts as agreement, and why.

    How far is relative to the number, unless that is 0.
    """

    value: float
    slack: float = 0.0
    why: str = "heuristic"

    def __str__(self) -> str:
        """Two digits."""
        number, slack = f"{self.value:.2g}", f"{self.slack:.0%}" if self.value else f"{self.slack:g}"
        return f"{number} ± {slack} ({self.why})" if self.slack else number

    @property
    def allowed(self) -> float:
        """How far from it still counts."""
        return self.slack * (abs(self.value) or 1.0)


@dataclass(frozen=True)
class Bound:
    """A number that a law says only to lie above, or below, this one."""

    value: float = 0.0
    side: str = "above"

    def __str__(self) -> str:
        """Such as ``above 0``."""
        return f"{self.side} {self.value:g}"


ABOVE_ZERO = Bound()


def judged(
    expected: Expected | Bound | float,
    found: Estimate | None,
    *,
    name: str = "",
    on: str = "",
    bends: Estimate | None = None,
    lacks: str = "",
) -> Reading:
    """A law whose value is a number.

    It agrees if the expected value lies within the error bar; an exponent that provably bends over its range has all
    values from one end of the range to the other, so that much is added, and ``NUMERICAL`` where there is no slack.
    One law in twenty differs by chance.
    It cannot be told without an error bar, or where one that holds it is wider than half of it (¼ if it is 0).
    A ``Bound`` is told where the error bar leaves it out.

    Args:
        expected: see ``Law``.
        found: what was measured, if it could be.
        name: see ``Reading``.
        on: the part of the sweep that it is measured on.
        bends: half of what it changes by over the range, if it is an exponent.
        lacks: what a sweep needs for it, said if nothing was measured.
    """
    expected = expected if isinstance(expected, Expected | Bound) else Expected(expected)
    if found is None or not np.isfinite(found.value):
        return Reading(str(expected), f"needs {lacks}", CANNOT_TELL, None, expected.value, name, on)
    extra = abs(bends.value) if bends is not None and bends.told else 0.0
    text = in_words(found)
    if extra >= 5e-4:
        text += f", bends by ±{extra:.3f}"
    return Reading(str(expected), text, _verdict(expected, found, extra), found, expected.value, name, on)


def unmeasured(found: Sequence[Reading]) -> list[str]:
    """A sentence for each thing that runs lack, with the laws that none of them shows for want of it at any P and L."""
    names = [re.sub(r", [LP] = [^,]*", "", law.name) for law in found]
    measured = {name for name, law in zip(names, found, strict=True) if law.estimate is not None}
    by_need: dict[str, dict[str, None]] = {}
    for name, law in zip(names, found, strict=True):
        if name not in measured:
            by_need.setdefault(law.measured, {})[name] = None
    return [f"{need[0].upper()}{need[1:]}: {'; '.join(names)}." for need, names in by_need.items()]


def in_words(found: Estimate) -> str:
    """An estimate, with the reason if it has no error."""
    if found.seeds < 2:
        return f"{found}, one seed: no error"
    if not np.isfinite(found.error):
        return f"{found}, too few seeds: no error"
    return str(found)


def _verdict(expected: Expected | Bound, found: Estimate, extra: float) -> str:
    if not np.isfinite(found.error):
        return CANNOT_TELL
    if isinstance(expected, Bound):
        past = (found.value - expected.value) * (1 if expected.side == "above" else -1)
        return CANNOT_TELL if abs(past) <= found.error else AGREES if past > 0 else DIFFERS
    allowed = found.error + extra + (expected.allowed or NUMERICAL)
    if abs(found.value - expected.value) > allowed:
        return DIFFERS
    resolution = abs(expected.value) / 2 or 0.25
    return AGREES if found.error <= resolution else CANNOT_TELL
