"""When to observe. Times are fixed beforehand, so that runs share them and no step is shortened for them."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class ObservationTimes(Protocol):
    """A fixed, increasing set of training times."""

    def between(self, start: float, stop: float) -> list[float]:
        """The times in (start, stop]; half open, so that consecutive steps report each time once."""
        ...


@dataclass(frozen=True)
class LogTimes:
    """10^{k/per_decade} for all integers k with a time ≥ first: one grid for every run, whatever its α.

    Attributes:
        per_decade: times per factor of ten.
        first: where observation begins, in the article's t.
    """

    per_decade: int
    first: float

    def between(self, start: float, stop: float) -> list[float]:
        # ``first`` is a product such as 1e-3·√h·α, whose rounding must not cost the time that it means.
        begin = self.first * (1 - 1e-9)
        low = max(start, begin)
        if stop < low or stop <= 0:
            return []
        first, last = (math.floor(math.log10(t) * self.per_decade) for t in (low, stop))
        # One index more on both sides: the logarithm may round across an integer. The comparison decides.
        candidates = (10.0 ** (k / self.per_decade) for k in range(first - 1, last + 2))
        return [t for t in candidates if start < t <= stop and t >= begin]


class GivenTimes:
    """The times that the user lists."""

    def __init__(self, times: Sequence[float]) -> None:
        """Take times in any order; repeated ones count once."""
        self.times = sorted(set(times))

    def between(self, start: float, stop: float) -> list[float]:
        return self.times[bisect.bisect_right(self.times, start) : bisect.bisect_right(self.times, stop)]
