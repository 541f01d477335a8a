"""A number and its error bar from seeds: the one place where errors are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import numpy as np

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.statistics import LEVEL, student

MANY = 8
"""Seeds from which on they are resampled; below, one is left out at a time."""
RESAMPLES = 1000
ROUNDING = 1e-11
"""Relative error of two seeds that are alike."""
LONG = 5
"""Powers of ten, up or down, from which on a number is written with one."""

T = TypeVar("T")
Statistic = Callable[[np.ndarray], np.ndarray]
"""Function of weights of seeds, (B, n), with one value for each row, (B,); NaN where a row has none."""


@dataclass(frozen=True)
class Estimate:
    """A number with its error bar over seeds.

    Attributes:
        value: from all seeds.
        error: half the width of the 95 % confidence interval; NaN where seeds do not tell, as one seed does not.
        seeds: how many seeds are behind it.
    """

    value: float
    error: float
    seeds: int = 1

    @property
    def told(self) -> bool:
        """Whether the error bar leaves 0 out; False without one."""
        return abs(self.value) > self.error

    def __str__(self) -> str:
        """Three decimals, with the error, rounded up, if there is one."""
        if not np.isfinite(self.error):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ± {np.ceil(round(self.error * 1000, 6)) / 1000:.3f}"

    def rounded(self, digits: int = 1) -> tuple[str, str]:
        """Value and error to the same place, that of so many digits of the error; three digits without an error."""
        if not 0 < self.error < np.inf:
            return f"{self.value:.3g}", ""
        largest = _power(max(abs(self.value), self.error), digits)
        power = 0 if -LONG < largest < LONG else largest
        # The place is that of the error as it is rounded: 0.096 to one digit is 0.1.
        place = digits - 1 - _power(self.error, digits) + power
        value, error = (f"{round(one / 10.0**power, place):.{max(place, 0)}f}" for one in (self.value, self.error))
        times = f"e{power}" if power else ""
        return value + times, error + times


def _power(number: float, digits: int) -> int:
    return int(f"{number:.{digits - 1}e}".partition("e")[2])


def estimate(statistic: Statistic, seeds: int) -> Estimate:
    """A statistic of all seeds, and its error over them.

    Seeds are what is independent: runs of one seed share their initial weights across α, so the seed is the unit that
    is resampled, with all of its runs. From 8 seeds on by 1000 bootstrap samples, whose variance is that of n values
    about their own mean: too small by (n − 1)/n, which is put right. A bootstrap of 3 seeds has 10 different samples,
    three of which are one seed thrice; below 8 seeds the jackknife is taken, which for what is linear in the seeds is
    the same without chance (Efron and Stein, 1981). The error bar is Student's quantile with n − 1 degrees of freedom
    times the standard error: 4.3 of them for 3 seeds, 2.8 for 5. ``tests/study/test_coverage.py`` holds it to 95 %.

    Args:
        statistic: see ``Statistic``.
        seeds: n.
    """
    return _spread(statistic, seeds, *_replicates(seeds))


def average(values: np.ndarray) -> Estimate:
    """Mean of independent values, (n,), such as those of seeds, and its error over them; NaN: missing."""
    return estimate(lambda weights: weighted_mean(weights, values), len(values))


def average_over(members: Sequence[T], value: Callable[[T], float]) -> Estimate | None:
    """Mean of what is computed of each member, and its error over them; None of fewer than two, or of one refused."""
    return None if len(members) < 2 else unless_refused(lambda: average(np.array([value(one) for one in members])))


def unless_refused(measure: Callable[[], Estimate | None]) -> Estimate | None:
    """An estimate; None of runs of which what it needs cannot be computed."""
    try:
        return measure()
    except (FeatureLazyError, ValueError):
        return None


def unless_alike(found: Estimate) -> Estimate:
    """An estimate of what is counted in patterns, as errors are; without an error bar where two seeds have no spread.

    Two networks err on as many patterns by chance, and then show no spread, and not that of 0. What is 0 in both may be
    exact, and so may what is no count: an exponent that is an identity.
    """
    alike = found.seeds == 2 and found.value and found.error <= ROUNDING * abs(found.value)
    return replace(found, error=float("nan")) if alike else found


def jackknife(statistic: Statistic, seeds: int) -> Estimate:
    """As ``estimate``, always by leaving one out.

    For what a seed that is drawn twice would spoil, such as the error of an average, which is of fewer networks then.
    """
    return _spread(statistic, seeds, *_leave_one_out(seeds))


def _spread(statistic: Statistic, seeds: int, weights: np.ndarray, factor: float) -> Estimate:
    value = float(statistic(np.ones((1, seeds)))[0])
    if seeds < 2:
        return Estimate(value, float("nan"), seeds)
    found = statistic(weights)
    known = found[np.isfinite(found)]
    # A few samples without a value, such as a curve that does not cross, are no news; many are.
    if len(known) < LEVEL * len(found):
        return Estimate(value, float("nan"), seeds)
    return Estimate(value, float(student(seeds) * np.sqrt(factor * known.var())), seeds)


@cache
def _replicates(n: int) -> tuple[np.ndarray, float]:
    """Weights of seeds, (B, n), and what the variance of a statistic over them is multiplied by."""
    if n < MANY:
        return _leave_one_out(n)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return drawn.astype(float), n / (n - 1)


def _leave_one_out(n: int) -> tuple[np.ndarray, float]:
    return 1 - np.eye(n), n - 1


def weighted_mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means over seeds, those that are missing left out: weights (B, n), values (…, n), NaN: missing → (B, …)."""
    known = np.isfinite(values)
    total = np.tensordot(weights, np.where(known, values, 0), (1, -1))
    count = np.tensordot(weights, known.astype(float), (1, -1))
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
