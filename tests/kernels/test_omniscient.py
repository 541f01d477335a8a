"""Theory of kernel and random-feature regression: against Monte Carlo, against limits, and what is refused."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from feature_lazy.kernels.omniscient import fitting_ratio, risk, unseen
from tests.systems.reference import reference

MODES = np.arange(1, 601.0)


def power_law(a=1.5, b=1.25):
    return MODES**-a, MODES**-b / (MODES**-b).sum()


def test_errors_are_those_of_monte_carlo():
    known = reference("more_is_better")
    for n, k, ridge, noise, test, train, *errors in known["cases"].tolist():
        found = risk(*power_law(known["a"], known["b"]), n, k=k or math.inf, ridge=ridge, noise=noise)
        # Two standard errors of 200 stored draws, 1 to 2 %: without k/(k − q) it is 2.4 of them.
        assert found.test == pytest.approx(test, abs=2 * errors[0])
        assert found.train == pytest.approx(train, abs=2 * errors[1])


def test_equations_of_kappa_and_gamma_hold():
    lam, v2 = power_law()
    for n, k, ridge in [(50, 20, 0.1), (20, 50, 0.0), (20, math.inf, 0.0), (50, 50, 1e-6)]:
        found = risk(lam, v2, n, k=k, ridge=ridge)
        z = (lam / (lam + found.gamma)).sum()
        assert z + ridge / found.kappa == pytest.approx(n, rel=1e-8)
        if math.isfinite(k):
            assert z + k * found.kappa / found.gamma == pytest.approx(k, rel=1e-8)
        else:
            assert found.kappa == found.gamma


def test_many_features_are_the_kernel():
    with_features, kernel = (risk(*power_law(), 40, k=k, ridge=0.05, noise=0.1) for k in (1e9, math.inf))
    assert with_features.test == pytest.approx(kernel.test, rel=1e-6)


def best(n, k):
    return min(risk(*power_law(), n, k=k, ridge=ridge, noise=0.1).test for ridge in np.geomspace(1e-3, 1e2, 60))


def test_more_is_better_at_the_best_ridge_and_not_at_a_tiny_one():
    grid = np.array([[best(n, k) for k in (8, 32, 128, math.inf)] for n in (8, 32, 128)])
    # Of a grid of ridges the best is within 1e-3 of the best of all.
    assert (np.diff(grid, axis=0) < 1e-3).all()
    assert (np.diff(grid, axis=1) < 1e-3).all()
    beside, peak = (risk(*power_law(), 32, k=k, ridge=1e-9).test for k in (64, 32))
    assert peak > 5 * beside


@pytest.mark.parametrize(("a", "b", "slack"), [(1.5, 1.25, 2e-3), (2, 1.5, 2e-3), (1.5, 1.6, 1e-6)])
def test_fitting_ratio_is_that_of_the_best_ridge(a, b, slack):
    """Tails by quadrature: a spectrum of 4e5 modes has a ratio that is a third too small."""
    edges = np.geomspace(999.5, 1e14, 4001)
    ranks = np.concatenate([np.arange(1, 1000.0), np.sqrt(edges[1:] * edges[:-1])])
    counts = np.concatenate([np.ones(999), np.diff(edges)])

    def at(log_ridge):
        return risk(ranks**-a, ranks**-b, 500, ridge=math.exp(log_ridge), counts=counts)

    found = minimize_scalar(lambda x: at(x).test, bounds=(-30, 5), method="bounded", options={"xatol": 1e-9})
    optimal = at(found.x)
    assert optimal.train / optimal.test == pytest.approx(fitting_ratio(a, b), abs=slack)


def test_unseen_patterns_are_what_is_left():
    found = risk(*power_law(), 40, ridge=0.1)
    assert (160 * unseen(found, 40, 200) + 40 * found.train) / 200 == pytest.approx(found.test)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 50, "k": 50}, "κ = 0; set a ridge above 0"),
        ({"n": 600}, "κ = 0; set a ridge above 0"),
        ({"n": 10, "ridge": -1.0}, "n and k above 0, others not below"),
        ({"n": 10, "counts": np.ones(3)}, "must be vectors of one length"),
    ],
)
def test_refusals(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        risk(*power_law(), **options)
    with pytest.raises(ValueError, match="both must be above 1"):
        fitting_ratio(1.0, 1.5)
