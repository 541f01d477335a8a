"""When to observe, and how the article's controller answers to an error."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.dynamics.steppers.article import ArticleController
from feature_lazy.dynamics.times import GivenTimes, LogTimes
from tests.dynamics.conftest import Flow, column, trial

positive = st.floats(1e-12, 1e12)
log_times = st.builds(LogTimes, per_decade=st.integers(1, 30), first=st.floats(1e-8, 1e3))
given_times = st.builds(GivenTimes, st.lists(st.floats(1e-8, 1e8), max_size=30))


@given(st.one_of(log_times, given_times), st.lists(positive, min_size=1, max_size=30))
def test_consecutive_intervals_report_each_time_once(times, ends):
    ends = [0.0, *sorted(set(ends))]
    parts = [t for start, stop in pairwise(ends) for t in times.between(start, stop)]
    assert parts == times.between(0.0, ends[-1])
    assert parts == sorted(set(parts))


@given(log_times, st.integers(-8, 8))
def test_interval_that_ends_on_a_time_holds_it(times, k):
    t = 10.0**k
    assert (t in times.between(0.0, t)) == (t >= times.first)
    assert t not in times.between(t, 2 * t)


@given(st.integers(1, 30), positive)
def test_log_grid_has_its_number_of_times_in_a_decade(per_decade, low):
    # An end that falls on the grid may count on either side.
    assert abs(len(LogTimes(per_decade, 1e-15).between(low, 10 * low)) - per_decade) <= 1


@given(st.integers(1, 30), st.floats(1e-6, 1), st.floats(1e-6, 1))
def test_grid_is_the_same_wherever_it_begins(per_decade, one, other):
    late = max(one, other)
    times = [[t for t in LogTimes(per_decade, first).between(0, 100) if t >= late] for first in (one, other)]
    assert times[0] == times[1]


@pytest.mark.parametrize("x", [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0])
@pytest.mark.parametrize("h", [10, 30, 100, 300, 1000])
def test_grid_begins_on_a_power_of_ten_for_every_width(x, h):
    """Where it begins is computed, 1e-3·√h·α: rounding must not take the first time from some runs."""
    first = 1e-3 * (x / math.sqrt(h) * math.sqrt(h))
    assert LogTimes(8, first).between(0, 2 * first)[0] == pytest.approx(first, rel=1e-12)


def test_given_times_in_any_order():
    times = GivenTimes([3.0, 1.0, 2.0, 1.0])
    assert times.between(0, 3) == [1.0, 2.0, 3.0]
    assert times.between(1, 2) == [2.0]  # half open
    assert times.between(3, 9) == []


errors = st.floats(0, 1e6) | st.just(math.inf)


@given(st.lists(errors, min_size=1, max_size=8), positive)
def test_article_controller(found, dt):
    """Accepted below 1; then ×1.1 below 1/2, else kept; rejected: /10. No other factor exists."""
    accepted, new = decide(found, dt)
    for error, ok, step in zip(found, accepted, new, strict=True):
        assert ok == (error < 1)
        assert step == pytest.approx(dt * (1.1 if error < 0.5 else 1.0 if error < 1 else 0.1), rel=1e-15)


def test_article_controller_rejects_what_is_no_number():
    assert decide([math.nan, math.inf], 1.0) == ([False, False], [0.1, 0.1])


def decide(found, dt):
    """Decisions and next steps for members with these errors and the same dt."""
    state, tried = trial(Flow(torch.zeros_like), column(*[1.0] * len(found)), dt, found)
    accepted, new = ArticleController().decide(tried, state)
    return accepted.tolist(), new.tolist()
