"""Statistics over seeds from predictors: against their definitions, and without what spoils them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.study.ensemble_laws import pattern_law, variance_slope
from feature_lazy.study.ensembles import Ensemble, margins
from feature_lazy.study.laws import laws
from feature_lazy.study.table import ensemble, ensembles
from feature_lazy.study.verdict import AGREES
from tests.study.conftest import sweep

RANDOM = np.random.default_rng(0)


def some(outputs=()):
    labels = np.where(np.arange(40) % 2, 1.0, -1.0) if not outputs else np.arange(40) % outputs[0]
    return Ensemble(30, 1.0, np.arange(4), RANDOM.standard_normal((4, 40, *outputs)), labels)


@pytest.mark.parametrize("outputs", [(), (3,)])
def test_statistics_are_their_definitions(outputs):
    found, n = some(outputs), 4
    mean = sum(found.predictors) / n
    np.testing.assert_allclose(found.mean, mean)
    assert found.variance == pytest.approx(sum((F - mean) ** 2 for F in found.predictors).mean() / (n - 1))
    assert found.error == np.mean(margins(mean, found.labels) <= 0)
    np.testing.assert_allclose(found.singles, [np.mean(margins(F, found.labels) <= 0) for F in found.predictors])


@pytest.mark.parametrize("outputs", [(), (3,)])
def test_weights_choose_seeds(outputs):
    """All once: the statistic itself; one left out: that of the others; twice: no pair with itself."""
    found = some(outputs)
    part = Ensemble(30, 1.0, np.arange(3), found.predictors[:3], found.labels)
    weights = np.array([[1.0, 1, 1, 1], [1, 1, 1, 0], [2, 2, 2, 0], [4, 0, 0, 0]])
    variances = found.log_variances(weights)
    np.testing.assert_allclose(variances[:3], np.log([found.variance, part.variance, part.variance]), rtol=1e-9)
    assert np.isnan(variances[3])
    expected = [found.singles.mean() - found.error, part.singles.mean() - part.error]
    np.testing.assert_allclose(found.gains(weights)[:2], expected, atol=1e-12)


def test_variance_law_is_exact_where_it_is_planted():
    """Predictors that are scaled by h^{-½} have a variance of 1/h."""
    one, found = some(), []
    for h in (30, 100, 300):
        found += [Ensemble(h, x, one.seeds, one.predictors * h**-0.5, one.labels) for x in (1e3, 1e4)]
    slope = variance_slope(found)
    assert slope.value == pytest.approx(-1, abs=1e-12)
    assert slope.error == pytest.approx(0, abs=1e-12)
    assert variance_slope([one]) is None
    assert variance_slope([]) is None


def test_runs_that_are_not_finite_and_cells_of_one_seed_are_left_out():
    table = sweep(seeds=3)
    table["run"].iloc[0].outputs["F_test"][7] = np.nan
    found = ensembles(table)
    assert [list(one.seeds) for one in found[:2]] == [[1, 2], [0, 1, 2]]
    assert ensembles(table[table["seed"] == 1]) == []
    assert not len(ensemble(table[table["seed"] == 1]))
    rows = ensemble(table)
    assert list(rows["n"][:2]) == [2, 3]
    assert np.isfinite(rows.to_numpy(float)).all()


def test_standard_error_of_a_single_network():
    runs = [
        SimpleNamespace(outputs={"F_test": np.array([1.0, sign]), "y_test": np.ones(2)}, columns={"seed": seed})
        for seed, sign in enumerate((1.0, -1.0, 1.0, -1.0))
    ]
    table = sweep(seeds=4, widths=(30,), xs=np.array([1.0])).assign(run=runs)
    row = ensemble(table).iloc[0]
    assert row["single"] == 0.25
    # Errors 0, ½, 0, ½: standard deviation ¼·√(4/3), over √4.
    assert row["single_sem"] == pytest.approx(0.25 * (4 / 3) ** 0.5 / 2)


def variance_laws(table):
    """The rows of the lazy and of the feature regime."""
    found = {row.name: row for row in laws(table)}
    return found["variance against h, lazy"], found["variance against h, feature"]


def test_without_a_kernel_change_regimes_are_assumed():
    """The variance is 1/h where they are, and 1/h² between them, where nobody looks."""
    table = sweep(2, seeds=5)
    between = table[(table["sqrt_h_alpha"] > 0.1) & (table["sqrt_h_alpha"] < 1e3)]
    for run, h in zip(between["run"], between["h"], strict=True):
        run.outputs["F_test"] = run.outputs["y_test"] + (run.outputs["F_test"] - run.outputs["y_test"]) / h**0.5
    lazy, feature = variance_laws(table.assign(kernel_change=np.nan))
    assert (lazy.verdict, feature.verdict) == (AGREES, AGREES)
    assert (lazy.where, feature.where) == (
        "Fig. 4a–b, eq. 17; √hα ≥ 1e+03, assumed",
        "Fig. 4a–b, eq. 17; √hα ≤ 0.1, assumed",
    )
    grown = pd.concat([table.assign(P=20), table.assign(P=40)])
    assert pattern_law(grown.assign(kernel_change=np.nan)).estimate.value == pytest.approx(0, abs=1e-9)


def test_a_frozen_kernel_is_lazy_everywhere():
    lazy, feature = variance_laws(sweep(2, seeds=5, dynamics="frozen_kernel"))
    assert lazy.verdict == AGREES
    assert lazy.where == "Fig. 4a–b, eq. 17; all √hα, the kernel is frozen"
    assert feature.estimate is None
