"""Laws of the Hessian's distance from Gauss–Newton: planted, broken, and read where the loss is a tenth."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.study.curvature_laws import RESIDUAL, at_fraction, residual_over_h, residual_over_x
from feature_lazy.study.laws import laws, readings
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS


def planted(power=-1.0, root=0.5, change=10.0):
    """‖R‖/‖G‖ = h^root·x^power·(loss)^½ at all times; loss falls as e^{−t}."""
    random, rows = np.random.default_rng(0), []
    t = np.linspace(0, 6, 25)
    loss = 0.5 * np.exp(-t)
    for seed in range(5):
        for h in (16, 64):
            for x in (1.0, 10.0, 100.0, 300.0, 1000.0, 3000.0):
                size = h**root * x**power * np.exp(random.normal(0, 0.02))
                residual = np.where(np.arange(25) % 2, np.nan, size * loss**0.5)  # at every other observation
                run = SimpleNamespace(history={"train/loss": loss, RESIDUAL: residual}, config={})
                place = {H: h, X: x, "alpha": x / h**0.5, "seed": seed, "outcome": "t_end"}
                rows.append({**place, RESIDUAL: residual[-1], "kernel_change": change / x, "run": run})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("power", "verdict"), [(-1.0, AGREES), (-0.5, DIFFERS)])
def test_exponent_in_x(power, verdict):
    [row] = readings(residual_over_x, planted(power=power))
    assert (row.verdict, row.estimate.value) == (verdict, pytest.approx(power, abs=0.02))
    assert "at 0.1 of the initial loss, √hα ≥ 100" in row.where


@pytest.mark.parametrize(("root", "verdict"), [(0.5, AGREES), (0.0, DIFFERS)])
def test_exponent_in_h(root, verdict):
    [row] = readings(residual_over_h, planted(root=root))
    assert (row.verdict, row.estimate.value) == (verdict, pytest.approx(root, abs=0.03))


def test_read_at_a_tenth_between_observations():
    run = planted().iloc[0]["run"]
    size = run.history[RESIDUAL][0] / 0.5**0.5
    assert at_fraction(run) == pytest.approx(size * 0.05**0.5, rel=1e-12)
    assert np.isnan(at_fraction(run, 1e-6))  # it never comes to that
    assert np.isnan(at_fraction(SimpleNamespace(history={"train/loss": run.history["train/loss"]})))


def test_a_sweep_without_curvature_does_not_hear_of_it():
    table = planted().drop(columns=RESIDUAL)
    assert not [row for row in laws(table) if "Gauss–Newton" in row.name]
    [row] = readings(residual_over_x, planted(change=1e5))
    assert row.verdict == CANNOT_TELL
