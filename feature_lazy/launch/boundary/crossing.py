"""Where a falling curve crosses a level: which α to try next, and when what is known is enough.

Everything happens in logarithms, where the kernel change is nearly straight (Fig. 5a): x = ln α, and y = ln(q/level)
of each seed. Nothing here knows of networks or files.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.statistics import student

DECADES = 3
"""How far beyond the bracket the crossing is looked for, a factor of ten at a time."""
PATIENCE = 6
"""Known α from which on every second step halves the bracket, whatever the curve looks like."""
NARROW = 0.5
"""ln of the ratio of two α between which the curve is taken for a parabola: a quarter of a decade."""
NEGLIGIBLE = 0.25
"""Part of the seeds' error below which that of the interpolation does not matter: no further α would help."""
MOST = 10_000
"""Seeds beyond which they are not counted."""

Points = Mapping[float, np.ndarray]
"""α → y = ln(q/level) of each seed, (n,), the same seeds at every α."""


@dataclass(frozen=True)
class Target:
    """What is looked for.

    Attributes:
        level: value that is crossed.
        low: where to begin, an α at which the quantity should be above it.
        high: an α at which it should be below.
        resolution: width of the 95 % confidence interval of ln α* that is enough.
    """

    level: float
    low: float
    high: float
    resolution: float

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: a number that makes no search.
        """
        for name in ("level", "low", "high", "resolution"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"hydra.sweeper.{name}={getattr(self, name)}: must be greater than 0, and finite.")
        if not self.low < self.high:
            raise ConfigError(f"hydra.sweeper.low={self.low}: must be less than hydra.sweeper.high={self.high}.")


@dataclass(frozen=True)
class Ask:
    """These α are to be measured next, at once."""

    alphas: tuple[float, ...]


@dataclass(frozen=True)
class Found:
    """The crossing.

    Attributes:
        alpha: α*.
        shifts: by how much ln α* of each seed lies beside that of their mean, (n,).
        bend: error in ln α* of the interpolation: twice as far as a parabola's crossing is from the straight line's.
    """

    alpha: float
    shifts: np.ndarray
    bend: float

    @property
    def seeds(self) -> float:
        """Half the 95 % confidence interval of ln α* that seeds leave."""
        return half_width(self.shifts)

    @property
    def error(self) -> float:
        """Half the 95 % confidence interval of ln α*."""
        return self.seeds + self.bend


@dataclass(frozen=True)
class Lost:
    """There is no answer, and why: a sentence."""

    why: str


def half_width(values: np.ndarray) -> float:
    """Half the confidence interval of the mean over seeds: Student's quantile times the standard error."""
    return float(values.std(ddof=1) * student(len(values)) / math.sqrt(len(values)))


def members(found: Found, target: Target) -> int:
    """How many seeds, each as far from the mean as these, would have made the interval as narrow as was asked for."""
    counts = np.arange(2, MOST)
    enough = found.shifts.std(ddof=1) * student(counts) / np.sqrt(counts) + found.bend <= target.resolution / 2
    return int(counts[enough.argmax()]) if enough.any() else MOST


def decide(points: Points, target: Target) -> Ask | Found | Lost:
    """What to do with what is known.

    The answer depends on the points alone, not on how they came: an interrupted search goes on as it would have.

    Args:
        points: what is known.
        target: what is looked for.
    """
    if not points:
        return Ask((target.low, target.high))
    alphas = sorted(points)
    x = np.log(alphas)
    y = np.array([points[alpha] for alpha in alphas])
    mean, noise = y.mean(1), np.array([half_width(row) for row in y])
    sure = np.where(np.abs(mean) > noise, np.sign(mean), 0)
    if (rises := np.diff(sure[sure != 0]) > 0).any():
        i, j = np.flatnonzero(sure)[rises.argmax() : rises.argmax() + 2]
        seen = f"{_times(mean[i])} at alpha.value={alphas[i]:.4g} and {_times(mean[j])} at {alphas[j]:.4g}"
        return Lost(f"it does not fall from low to high: it is {seen}.")
    falls = np.flatnonzero((mean[:-1] > 0) & (mean[1:] <= 0))
    if not len(falls):
        return _beyond(alphas, mean, target)
    i = int(falls[0])
    found = _crossing(x, y, i)
    narrow = x[i + 1] - x[i] <= NARROW
    if narrow and (2 * found.error <= target.resolution or found.bend <= NEGLIGIBLE * found.seeds):
        return found
    return _between(alphas, i, found, target)


def _times(y: float) -> str:
    return f"{math.exp(y):.3g} times the level"


def _beyond(alphas: list[float], mean: np.ndarray, target: Target) -> Ask | Lost:
    """All on one side: the other end of the bracket, then a factor of ten at a time beyond it."""
    above = mean[-1] > 0
    edge, end, factor = (alphas[-1], target.high, 10.0) if above else (alphas[0], target.low, 0.1)
    if (edge < end) if above else (edge > end):
        return Ask((end,))
    # From the edge, not from the end: runs that were there before may lie between and beyond.
    following = float(f"{edge * factor:.4g}")
    if abs(math.log(following / end)) > DECADES * math.log(10) * (1 + 1e-6):
        side, key = ("above", "high") if above else ("below", "low")
        last = mean[-1] if above else mean[0]
        return Lost(
            f"it is {side} the level at every α that was tried, {_times(last)} at alpha.value={edge:.4g}; set another "
            f"hydra.sweeper.{key} or hydra.sweeper.level."
        )
    return Ask((following,))


def _between(alphas: list[float], i: int, found: Found, target: Target) -> Ask | Lost:
    """One more α between the i-th and the next: where the crossing seems to be, or in the middle."""
    low, high, place = math.log(alphas[i]), math.log(alphas[i + 1]), math.log(found.alpha)
    if high - low > NARROW and found.bend < NARROW:
        # Beyond the crossing as seen from the nearer end, so that it lies between two that are near.
        step = max(found.bend, target.resolution / 2)
        place += step if place - low < high - place else -step
    # Not next to an end, for the same reason.
    margin = min(target.resolution, high - low) / 4
    place = min(max(place, low + margin), high - margin)
    if len(alphas) >= PATIENCE and len(alphas) % 2 == 0:
        place = (low + high) / 2
    alpha = float(f"{math.exp(place):.4g}")
    if not alphas[i] < alpha < alphas[i + 1]:
        return Lost(f"there is no α of four digits between {alphas[i]:.4g} and {alphas[i + 1]:.4g}; raise resolution.")
    return Ask((alpha,))


def _crossing(x: np.ndarray, y: np.ndarray, i: int) -> Found:
    """The crossing of the mean over seeds between x[i] and x[i + 1]; x (X,), y (X, n).

    By the parabola through both and a neighbour, the nearer to the crossing of two. Twice its distance from the
    crossing of the straight line, the larger of two, is the error of the interpolation: the curve may bend more here
    than there. Without a neighbour that is not known: ∞.
    """
    mean = y.mean(1)
    width, slope = x[i + 1] - x[i], (mean[i + 1] - mean[i]) / (x[i + 1] - x[i])
    line = -mean[i] / slope
    places = {}
    for k in (j for j in (i - 1, i + 2) if 0 <= j < len(x)):
        outer = (mean[k] - mean[i]) / (x[k] - x[i])
        bend = (outer - slope) / (x[k] - x[i + 1])
        # bend·u² + b·u + mean[i] = 0, u = x − x[i]: the root at which it falls, without cancellation.
        b = slope - bend * width
        places[abs(x[k] - x[i] - line)] = 2 * mean[i] / (-b + math.sqrt(max(b * b - 4 * bend * mean[i], 0.0)))
    place = places[min(places)] if places else line
    error = max((2 * abs(u - line) for u in places.values()), default=math.inf)
    there = y[i] + (y[i + 1] - y[i]) * place / width
    return Found(math.exp(x[i] + place), (there.mean() - there) / slope, error)
