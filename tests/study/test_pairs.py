"""Two sweeps that differ in one thing: what they share by seed cancels, and what is left is told from scatter."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from feature_lazy.study.estimate import Estimate
from feature_lazy.study.figures.axes import percent
from feature_lazy.study.pairs import by_cell, centring_laws, compare, negligible, paired
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from tests.study.conftest import sweep

SCATTER = 0.01


def errors(rng=0, seeds=5, **columns):
    """Test errors of 10 % that scatter by 1 % over seeds, less over α and h."""
    table = sweep(rng, seeds=seeds, runs=False)
    random = np.random.default_rng(rng)
    own = random.standard_normal(seeds)
    own = SCATTER * (own - own.mean()) / (own.std(ddof=1) if seeds > 1 else 1)
    return table.assign(
        **{"test/error": 0.1 + own[table["seed"]] + 1e-3 * random.standard_normal(len(table))}, **columns
    )


def moved(table, by, rng=9):
    """The same, off by a constant and by a little noise from run to run."""
    noise = 1e-3 * np.random.default_rng(rng).standard_normal(len(table))
    return table.assign(**{"test/error": table["test/error"] + by + noise})


def test_difference_is_that_of_the_pairs():
    table = errors()
    found = compare(moved(table, 0.003), table, "test/error")
    # 150 pairs with noise of 1e-3: 1e-4; four of these. What seeds share, 100 times that, is not in it.
    assert found.difference.value == pytest.approx(0.003, abs=4e-4)
    assert found.difference.error < 4e-4
    assert found.cells == len(table) == 150
    # Noise from run to run adds √(1 + 0.01) to it.
    assert found.scatter == pytest.approx(SCATTER, rel=0.05)


def test_only_cells_that_both_have_are_compared():
    table = errors()
    other = table[(table["h"] == 30) & (table["seed"] > 0)].sample(frac=1, random_state=0)
    pairs = paired(moved(table, 0.0), other, "test/error")
    assert len(pairs) == len(other)
    assert (pairs["difference"].abs() < 0.006).all()  # six standard deviations of the noise: no pair is wrong
    cells = by_cell(moved(table, 0.5), other, "test/error")
    assert list(cells["n"].unique()) == [4]
    assert set(cells["h"]) == {30}
    np.testing.assert_allclose(cells["mean"], 0.5, atol=0.003)
    assert compare(table, other[other["h"] > 30], "test/error") is None


def test_seeds_are_compared_over_the_cells_that_all_have():
    """The difference is that of the cell alone: seeds that lack some would seem to differ by it."""
    table = errors()
    by = np.log10(table["sqrt_h_alpha"])
    other = table.assign(**{"test/error": table["test/error"] - by})
    part = other[(other["seed"] > 0) | (other["sqrt_h_alpha"] <= 1)]
    shared = table["sqrt_h_alpha"] <= 1
    found = compare(table, part, "test/error")
    assert found.difference.value == pytest.approx(by[shared].mean())
    assert found.difference.error == pytest.approx(0, abs=1e-9)
    assert found.cells == shared.sum()
    # Without a cell that all have, each cell counts once, and there is no error.
    apart = other[(other["seed"] == 0) == (other["sqrt_h_alpha"] > 1)]
    found = compare(table, apart, "test/error").difference
    assert found.value == pytest.approx(by.mean())
    assert not found.told
    alone = compare(table[table["seed"] == 0], other, "test/error").difference
    assert (math.isnan(alone.error), alone.told) == (True, False)


@pytest.mark.parametrize(
    ("by", "seeds", "verdict"), [(0.0, 5, AGREES), (0.002, 5, AGREES), (0.1, 5, DIFFERS), (0.0, 1, CANNOT_TELL)]
)
def test_negligible_is_within_the_scatter_of_seeds(by, seeds, verdict):
    table = errors(seeds=seeds)
    law = negligible("bias", moved(table, by), table)
    assert law.verdict == verdict
    assert law.name == "test/error: bias"
    assert f"{len(table)} pairs" in law.measured


def test_wide_error_bar_cannot_tell():
    """Each seed is off by some ten times the scatter, this way or that: 0 on the mean, and not known."""
    table = errors()
    off = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])
    other = table.assign(**{"test/error": table["test/error"] + off[table["seed"]]})
    law = negligible("ε_∇ / 100", other, table)
    assert law.estimate.value == pytest.approx(0, abs=1e-12)
    assert law.verdict == CANNOT_TELL


def test_nothing_to_compare_is_said():
    law = negligible("bias", errors().head(0), errors())
    assert law.verdict == CANNOT_TELL
    assert law.estimate is None
    assert "needs runs of both sweeps" in law.measured


def test_centring_matters_at_large_alpha_only():
    table = errors()
    late = np.where(table["sqrt_h_alpha"] > 100, 0.3, 0.0)
    feature, lazy = centring_laws(table, moved(table, late))
    assert (feature.verdict, lazy.verdict) == (AGREES, AGREES)
    assert lazy.estimate.value == pytest.approx(-0.3, abs=0.01)
    assert "√hα ≥ 1" in lazy.where
    feature, lazy = centring_laws(table, moved(table, 0.3 - late))
    assert (feature.verdict, lazy.verdict) == (DIFFERS, DIFFERS)


def test_regimes_that_were_not_measured_are_assumed():
    table = errors()
    late = np.where(table["sqrt_h_alpha"] >= 1e3, 0.3, 0.0) + np.where(table["sqrt_h_alpha"] == 1, 0.1, 0.0)
    feature, lazy = centring_laws(table.assign(kernel_change=math.nan), moved(table, late))
    assert (feature.verdict, lazy.verdict) == (AGREES, AGREES)
    assert (feature.where, lazy.where) == ("√hα ≤ 0.1, assumed", "√hα ≥ 1e+03, assumed")
    assert lazy.estimate.value == pytest.approx(-0.3, abs=0.01)


def test_of_relu_no_lazy_regime_is_assumed():
    """It would be in the middle regime, whose end depends on the patterns (Fig. 12)."""
    table = errors(kernel_change=math.nan, activation="relu")
    feature, lazy = centring_laws(table, moved(table, 0.0))
    assert (feature.verdict, lazy.verdict) == (AGREES, CANNOT_TELL)


@pytest.mark.parametrize(
    ("value", "error", "digits", "text"),
    [
        (-1018.3, 6703.0, 2, ("-1000", "6700")),
        (0.77, 0.0123, 2, ("0.770", "0.012")),
        (1.234, 0.096, 1, ("1.2", "0.1")),
        (4.66e-10, 4.1e-11, 2, ("4.66e-10", "0.41e-10")),
        (0.25, math.nan, 2, ("0.25", "")),
        (0.25, 0.0, 2, ("0.25", "")),
    ],
)
def test_value_and_error_are_written_to_the_same_place(value, error, digits, text):
    assert Estimate(value, error).rounded(digits) == text


@pytest.mark.parametrize("lost", [0, 1])
def test_what_one_side_alone_has_is_not_the_same(lost):
    one, other = sweep(1, seeds=2, runs=False), sweep(1, seeds=2, runs=False)
    assert compare(one, other, "kernel_change").same
    (one, other)[lost].loc[0, "kernel_change"] = np.nan
    assert not compare(one, other, "kernel_change").same
    one.loc[0, "kernel_change"] = other.loc[0, "kernel_change"] = np.nan
    assert compare(one, other, "kernel_change").same


@pytest.mark.parametrize(("values", "low"), [([0.01, 0.02], 0.0), ([-0.05, 0.02], None), ([-0.05, -0.02], None)])
def test_shares_begin_at_zero_and_what_is_negative_is_seen(values, low):
    """An error bar goes below 0 in each; a difference of shares may itself, in a quantity of one's own."""
    figure, axes = plt.subplots()
    axes.errorbar([1, 2], values, [0.03, 0.03])
    percent(axes)
    bottom = axes.get_ylim()[0]
    assert bottom == low if low is not None else bottom < min(values)
    plt.close(figure)
