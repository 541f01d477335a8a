"""SETOL: the tail of a spectrum beside SciPy's, and its laws on planted sweeps."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.measure.quantities.spectra import tail, trace_log
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from feature_lazy.systems.setol import claim
from tests.study.conftest import sweep
from tests.systems.reference import reference

LAWS = (claim.order, claim.begins, claim.rests, claim.falls)


def test_equals_the_pareto_law_of_scipy():
    known = reference("setol")
    values = known["eigenvalues"][None]
    found = tail(values)
    # Its exponent is that of a numerical search, to about the root of the rounding.
    assert float(found.alpha) == pytest.approx(known["alpha"], rel=1e-6)
    assert float(found.distance) == pytest.approx(known["ks"], rel=1e-6)
    assert float(found.begin) == known["lambda_min"]
    assert float(trace_log(values)) == known["erg_lambda_min"]


def networks(*, sign=1, gap=0.1, lazy=1.0, fall=0.3, x=10.0):
    """Networks at six learning rates, whose test error goes with α by ``sign`` and the gap by a slope; and lazy ones.

    α ends at a share ``fall`` of the start's, and more at smaller rates; that of lazy networks at a share ``lazy``.
    """
    random = np.random.default_rng(3)
    rows = []
    for place, lr in enumerate([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 0.1]):
        for seed in range(5):
            still = place == 6
            share = lazy if still else fall + 0.1 * (5 - place)
            start = 9 + random.normal(0, 0.2)
            alpha = start * share * np.exp(random.normal(0, 0.01))
            own = {
                claim.ALPHA: alpha,
                claim.ERROR: 0.1 + sign * 0.01 * share,
                claim.BEGIN: np.exp(gap * alpha + random.normal(0, 0.01)),
                claim.TRACE_LOG: 1.0,
                "sqrt_h_alpha": 1e4 if still else x,
            }
            run = SimpleNamespace(
                config={"dynamics": {"lr": lr}, "seed": {"value": seed}, "x": own["sqrt_h_alpha"]},
                history={claim.ALPHA: np.array([start, alpha])},
            )
            rows.append({**own, "h": 128, "alpha": own["sqrt_h_alpha"], "seed": seed, "outcome": "t_end", "run": run})
    return pd.DataFrame(rows)


def verdicts(table):
    return [row.verdict for one in LAWS for row in readings(one, table)]


def test_planted_laws():
    assert verdicts(networks()) == [AGREES] * 4
    assert verdicts(networks(sign=-1, gap=-0.1, lazy=0.7, fall=1.2)) == [DIFFERS] * 4
    assert verdicts(networks(x=1e4)) == [CANNOT_TELL, CANNOT_TELL, DIFFERS, CANNOT_TELL]


def test_slope_is_within_seeds():
    """Seeds whose gaps differ by a constant have one slope: each has its own intercept."""
    found = networks(gap=0.05)
    found[claim.BEGIN] *= np.exp(found["seed"] * 3.0)
    [row] = readings(claim.begins, found)
    assert row.estimate.value == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_other_sweeps_do_not_hear_of_it(law):
    assert law.name not in {row.name for row in laws(sweep())}
