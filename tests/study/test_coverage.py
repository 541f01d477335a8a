"""Error bars hold the planted value as often as they say, for few seeds and for many, under noise that seeds share."""

import numpy as np
import pytest

from feature_lazy.study import ensemble_laws
from feature_lazy.study.ahead import lead
from feature_lazy.study.crossings import boundary_slope, crossing
from feature_lazy.study.ensemble_laws import variance_slope
from feature_lazy.study.ensembles import Ensemble
from feature_lazy.study.estimate import Estimate, average, unless_alike
from feature_lazy.study.exponents import bend, mean, slope, width_slope
from feature_lazy.study.laws import readings
from feature_lazy.study.regimes import regimes
from feature_lazy.study.verdict import ABOVE_ZERO, CANNOT_TELL, judged
from tests.study.conftest import FEATURE, LAZY, STAR, XS, sweep

SWEEPS = 400
# Binomial: √(0.95 · 0.05/400) = 1.1 %, and three of these. What is not linear in the seeds, and Student's t under
# noise that is not quite of one size, may hold a little more than they say, not less.
LEAST, MOST = 0.95 - 3 * 0.011, 0.95 + 3 * 0.011


def holds(found, planted):
    return abs(found.value - planted) <= found.error


def look(rng, seeds):
    """Which error bars hold, of one sweep with ranges found in it."""
    table = sweep(rng, seeds=seeds, widths=(30, 100), xs=XS[1:-1], runs=False)
    ranges = regimes(table)
    place = crossing(table[table["h"] == 30], "kernel_change", 1.0)
    return {
        "lazy exponent": holds(slope(table, "kernel_change", ranges.lazy), LAZY),
        "feature exponent": holds(slope(table, "kernel_change", ranges.feature), FEATURE),
        "bend": holds(bend(table, "kernel_change", ranges.feature), 0),
        "crossing": holds(place, STAR),
        "boundary": holds(boundary_slope(table, "kernel_change", 1.0), -0.5),
        "width": holds(width_slope(table, "weights/change", ranges.lazy), -0.5),
    }


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_error_bars_hold_the_planted_value_95_times_in_100(seeds):
    looks = [look(1000 * seeds + rng, seeds) for rng in range(SWEEPS)]
    for name in looks[0]:
        assert LEAST <= np.mean([one[name] for one in looks]) <= MOST, name


def ensembles(random, seeds, x=(1e3, 1e4)):
    """Var = 1/h, and what a network predicts at one x it nearly predicts at the next."""
    found = []
    for h in (30, 100, 300):
        # 20 independent directions in 100 patterns: predictors are smooth.
        own = random.standard_normal((seeds, 20)) @ random.standard_normal((20, 100)) / np.sqrt(20 * h)
        for one in x:
            near = own * (1 + 0.01 * random.standard_normal(own.shape))
            found.append(Ensemble(h, one, np.arange(seeds), near, np.ones(100)))
    return found


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_error_bar_of_the_variance_law(seeds):
    random = np.random.default_rng(seeds)
    found = np.mean([holds(variance_slope(ensembles(random, seeds)), -1) for _ in range(SWEEPS)])
    # The jackknife of a variance errs to the safe side (Efron and Stein, 1981).
    assert found >= LEAST


@pytest.mark.parametrize(
    ("values", "error"),
    [([0.25, 0.25], None), ([0.46 - 0.45, 0.11 - 0.1], None), ([0.0, 0.0], 0.0), ([0.25, 0.25, 0.25], 0.0)],
)
def test_two_seeds_that_are_alike_show_no_spread_rather_than_none(values, error):
    """Errors are counted in patterns, and two networks err on as many by chance; what is 0 in both may be exact."""
    found = unless_alike(average(np.array(values)))
    assert found.error == error or (error is None and np.isnan(found.error))
    assert (judged(ABOVE_ZERO, found).verdict == CANNOT_TELL) == (error is None or not found.value)


def test_what_is_counted_in_patterns_has_no_error_of_two_seeds_that_are_alike(monkeypatch):
    """Means over cells, the lead of a regime, and the gain of an ensemble."""
    table = sweep(1, seeds=2, runs=False)
    errors = table.assign(**{"test/error": np.where(table["sqrt_h_alpha"] > STAR, 0.1, 0.2)})
    assert np.isnan(mean(errors, "test/error", (0.0, np.inf)).error)
    assert lead(errors).winner is None
    monkeypatch.setattr(ensemble_laws, "jackknife", lambda statistic, seeds: Estimate(0.004, 0.0, seeds))
    [row] = readings(ensemble_laws.ensemble_gain, sweep(1, seeds=2))
    assert row.verdict == CANNOT_TELL
