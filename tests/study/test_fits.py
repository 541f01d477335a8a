"""Exponents, crossings and collapse of planted laws, and error bars that know what seeds do not tell."""

import math

import numpy as np
import pandas as pd
import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.study.collapse import collapse, rescaled
from feature_lazy.study.crossings import boundary_slope, crossing, crossings
from feature_lazy.study.estimate import MANY, Estimate, estimate, jackknife
from feature_lazy.study.exponents import bend, mean, slope, width_slope
from feature_lazy.study.grid import Grid
from feature_lazy.study.regimes import regimes
from tests.study.conftest import FEATURE, LAZY, STAR, WIDTHS, XS, kernel_change, sweep

EXACT = 1e-12  # rounding of logarithms that are a few units large
DEEP, FAR = (0, 0.5), (50, np.inf)


@pytest.fixture(scope="module")
def exact():
    return sweep(sd=0.0, runs=False)


def test_estimate_of_a_mean_is_students_interval():
    """Below MANY seeds exactly; the variance of 1000 samples is uncertain by √(2/1000) = 4.5 %, its root by half."""
    for n, tolerance in ((3, EXACT), (MANY - 1, EXACT), (MANY, 0.07), (20, 0.07)):
        values = np.random.default_rng(n).standard_normal(n)
        found = estimate(lambda weights, values=values: weights @ values / weights.sum(1), n)
        quantile = {3: 4.3027, 7: 2.4469, 8: 2.3646, 20: 2.0930}[n]  # of a printed table, at 97.5 %
        assert found.value == pytest.approx(values.mean())
        assert found.error == pytest.approx(quantile * values.std(ddof=1) / math.sqrt(n), rel=tolerance + 1e-4)
        assert found.seeds == n


def test_estimates_come_out_the_same_twice():
    values = np.arange(10.0)
    assert estimate(lambda w: w @ values / 10, 10) == estimate(lambda w: w @ values / 10, 10)


def test_one_seed_has_no_error():
    for found in (estimate(lambda w: w[:, 0], 1), jackknife(lambda w: w[:, 0], 1)):
        assert found.value == 1
        assert math.isnan(found.error)
    assert str(Estimate(0.5, float("nan"))) == "0.500"


def test_error_is_printed_rounded_up():
    assert str(Estimate(-1.0, 1e-5, 3)) == "-1.000 ± 0.001"
    assert str(Estimate(-1.0, 0.011, 3)) == "-1.000 ± 0.011"
    assert str(Estimate(-1.0, 0.0, 3)) == "-1.000 ± 0.000"


def test_no_error_where_many_samples_have_no_value():
    assert math.isnan(estimate(lambda w: np.where(w[:, 0] > 0, 1.0, np.nan), 3).error)
    # One of ten seeds is left out by 0.9¹⁰ = 35 % of samples; all but one by fewer than one in a million.
    assert math.isnan(estimate(lambda w: np.where(w[:, 0] > 0, w[:, 0], np.nan), 10).error)
    assert math.isfinite(estimate(lambda w: np.where(w[:, 0] < 9, w[:, 0], np.nan), 10).error)


def test_exponents_without_noise_are_exact(exact):
    assert slope(exact, "kernel_change", FAR).value == pytest.approx(LAZY, abs=EXACT)
    assert slope(exact, "kernel_change", DEEP).value == pytest.approx(FEATURE, abs=EXACT)
    assert bend(exact, "kernel_change", FAR).value == pytest.approx(0, abs=EXACT)
    assert width_slope(exact, "weights/change", FAR).value == pytest.approx(-0.5, abs=EXACT)
    assert mean(exact, "L", FAR).value == pytest.approx(3)


def test_bend_is_half_of_what_the_exponent_changes_by(exact):
    """ln y = −1.2 u + 0.1 u² has exponents −1.2 + 0.2 u: at u = ±ln 100 they are ±0.2 ln 100 from the middle."""
    part = exact[exact["sqrt_h_alpha"].between(0.9e-2, 1.1e2)]
    u = np.log(part["sqrt_h_alpha"])
    curved = part.assign(kernel_change=np.exp(-1.2 * u + 0.1 * u**2))
    assert bend(curved, "kernel_change", (0, np.inf)).value == pytest.approx(0.2 * math.log(100), rel=1e-9)
    assert slope(curved, "kernel_change", (0, np.inf)).value == pytest.approx(-1.2, rel=1e-9)
    assert bend(curved, "kernel_change", (0, 0.2)) is None  # two points are on a line


def test_widths_may_cover_different_ranges():
    """Each has its own intercept, and each √h·α its own for exponents of h."""
    table = sweep(sd=0.0, runs=False)
    h, x = table["h"], table["sqrt_h_alpha"]
    table = table[(h == 30) & (x < 2e3) | (h == 100) & (x > 50) | (h == 300) & (x > 5e3)]
    assert slope(table, "weights/change", FAR).value == pytest.approx(LAZY, abs=EXACT)
    assert width_slope(table, "weights/change", FAR).value == pytest.approx(-0.5, abs=EXACT)


def test_seeds_that_tell_nothing_are_not_counted():
    table = sweep(seeds=4, runs=False)
    alone = (table["seed"] < 3) | (table["sqrt_h_alpha"] == 1e3)
    assert slope(table[alone], "kernel_change", FAR).seeds == 3
    assert slope(table[alone], "kernel_change", FAR) == slope(table[table["seed"] < 3], "kernel_change", FAR)


def test_no_range_no_exponent(exact):
    one = exact[exact["sqrt_h_alpha"] == 1e3]
    assert slope(exact, "kernel_change", (1e6, 1e9)) is None
    assert slope(one, "kernel_change", FAR) is None
    assert width_slope(one[one["h"] == 30], "weights/change", FAR) is None
    assert mean(exact, "kernel_change", (1e6, 1e9)) is None
    assert slope(exact.head(0), "kernel_change", FAR) is None
    with pytest.raises(StoreError, match=r"No run has the column kernel_chance\. Did you mean kernel_change"):
        slope(exact, "kernel_chance", FAR)


def test_crossing_is_interpolated_in_logarithms(exact):
    assert crossing(exact, "kernel_change", 1.0).value == pytest.approx(STAR, rel=EXACT)
    assert crossing(exact, "kernel_change", STAR / 50).value == pytest.approx(50, rel=EXACT)
    assert crossings(exact, "kernel_change", 1.0).keys() == set(WIDTHS)
    for level in (1e9, 1e-9):
        assert crossing(exact, "kernel_change", level) is None
    assert crossing(exact.head(0), "kernel_change", 1.0) is None
    assert crossing(exact[exact["sqrt_h_alpha"] == 1e3], "kernel_change", 1.0) is None


def test_crossings_of_a_grid_of_alpha_itself():
    """Each width then has √h·α of its own, and none where the others have theirs."""
    table = sweep(sd=0.0, runs=False)
    table["sqrt_h_alpha"] *= np.sqrt(table["h"])
    table["kernel_change"] = kernel_change(table["sqrt_h_alpha"])
    for h, place in crossings(table, "kernel_change", 1.0).items():
        assert place.value == pytest.approx(STAR, rel=1e-9), h
    assert boundary_slope(table, "kernel_change", 1.0).value == pytest.approx(-0.5, abs=1e-9)


@pytest.mark.parametrize("power", [0.0, 0.1])
def test_boundary_slope_is_minus_half_and_what_the_crossings_do(power):
    table = sweep(sd=0.0, star=lambda h: (h / 100) ** power, runs=False)
    # A kink of the curve between two points that the interpolation rounds off lies at √hα = 1, far from the crossing.
    assert boundary_slope(table, "kernel_change", 1.0).value == pytest.approx(power - 0.5, abs=1e-9)
    assert boundary_slope(table[table["h"] == 30], "kernel_change", 1.0) is None


def test_regimes_follow_the_crossover(exact):
    found = regimes(exact)
    assert found.crossover == pytest.approx(STAR)
    assert found.lazy == (pytest.approx(10 * STAR), np.inf)
    assert found.feature == (0, pytest.approx(STAR / 30))
    assert found.deep == (0, pytest.approx(STAR / 1000))
    assert found.middle is None


def test_regimes_of_a_grid_on_one_side(exact):
    """x* is beyond its end, and is taken to be where it leaves less than there may be and nothing wrong."""
    x = exact["sqrt_h_alpha"]
    assert regimes(exact[x >= 1e2]).lazy[0] == pytest.approx(10 * 3 * STAR)
    assert regimes(exact[x <= 1.0]).feature[1] == pytest.approx(STAR**0.5 / 30)
    assert regimes(exact.assign(kernel_change=np.nan)) is None


def relu(x):
    """−½ between x* = 10 and 1e4, steep for a decade, then −1."""
    u = np.log10(x)
    return 10 ** np.interp(u, [-4, 1, 4, 5, 9], [7.5, 0, -1.5, -3.5, -7.5])


def test_middle_regime_of_relu():
    table = sweep(sd=0.0, xs=10.0 ** np.arange(-4, 10), runs=False)
    found = regimes(table.assign(kernel_change=relu(table["sqrt_h_alpha"])))
    assert found.middle[0] == pytest.approx(30)
    assert 1e3 < found.middle[1] < 1e4
    assert found.lazy == (1e5, np.inf)  # where it is as steep as −1 again, for good
    never = regimes(table.assign(kernel_change=relu(table["sqrt_h_alpha"]))[table["sqrt_h_alpha"] < 2e4])
    assert never.lazy is None
    assert never.middle == (pytest.approx(30), np.inf)


def test_collapse_is_1_where_widths_differ_by_seeds_alone():
    """Each of 10 points scatters like F(2, 12): the mean quality of 200 sweeps is uncertain by 0.03; four of these."""
    qualities = []
    for rng in range(200):
        random = np.random.default_rng(rng)
        values = 0.1 * random.standard_normal((3, 10, 5)) + np.log(kernel_change(XS))[None, :, None]
        qualities.append(collapse(Grid(np.array(WIDTHS), XS, values)).quality)
    assert np.mean(qualities) == pytest.approx(1, abs=0.12)


def test_collapse_tells_alpha_from_sqrt_h_alpha():
    grid = Grid.of(sweep(runs=False, sd=0.1), "kernel_change").log()
    with_x, with_alpha = collapse(grid), collapse(grid, against_alpha=True)
    assert with_x.collapsed
    assert not with_alpha.collapsed
    assert with_alpha.quality > 10 * with_x.quality
    # ½ ln of the ratios of widths is 0.60, 0.55 and 1.15, rms 0.82; times an exponent of 1 … 1.5, over √2.
    assert 0.58 < with_alpha.spread < 0.87


def test_collapse_is_independent_of_whose_grid_it_is(exact):
    """Widths on a grid of α itself: the same curve, read off between its points, a kink's rounding apart."""
    table = exact.assign(sqrt_h_alpha=exact["sqrt_h_alpha"] * np.sqrt(exact["h"] / 30))
    table["kernel_change"] = kernel_change(table["sqrt_h_alpha"])
    found = collapse(Grid.of(table, "kernel_change").log())
    assert found.spread < 0.05
    assert math.isnan(found.quality)  # no noise: no scatter to compare with


def test_collapse_needs_two_widths_and_seeds_a_reference(exact):
    one = exact[exact["h"] == 30]
    assert collapse(Grid.of(one, "kernel_change").log()) is None
    assert collapse(Grid.of(exact.head(0), "kernel_change").log()) is None
    alone = collapse(Grid.of(exact[exact["seed"] == 0], "kernel_change").log())
    assert math.isnan(alone.reference)
    assert not alone.collapsed


def test_rescaled_curves_span_0_to_1():
    table = sweep(seeds=3, runs=False)
    grid = rescaled(table, "test/error", 0.1)
    assert grid.x.min() > 0.05
    for one in grid.values:
        assert one.mean(1).min() == pytest.approx(0, abs=EXACT)
        assert one.mean(1).max() == pytest.approx(1, abs=EXACT)
    assert not len(rescaled(table.assign(**{"test/error": 0.1}), "test/error", 0.1).h)


def test_grid_averages_runs_of_the_same_place():
    table = sweep(sd=0.0, runs=False)
    twice = pd.concat([table, table.assign(kernel_change=3 * table["kernel_change"])])
    np.testing.assert_allclose(
        Grid.of(twice, "kernel_change").values, 2 * Grid.of(table, "kernel_change").values, rtol=EXACT
    )
