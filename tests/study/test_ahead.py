"""Which regime tests better, where seeds have run in some places only."""

import math

import pytest

from feature_lazy.study.ahead import LAZY, lead
from tests.study.conftest import sweep


def test_lazy_training_is_ahead_by_what_is_planted():
    found = lead(sweep(seeds=5, runs=False, sd=0.01))
    assert found.winner == LAZY
    # 0.1 + 0.05/(1 + √hα) is planted, x* is 11, and the nearest α of the feature regime is 10; noise of 1e-4.
    assert found.difference.value == pytest.approx(0.05 / 11, abs=3e-4)


def test_a_seed_without_which_a_width_has_no_runs_leaves_no_error_bar():
    """Without it nothing is left to subtract at that width, which is no number and no warning."""
    table = sweep(seeds=4, runs=False, sd=0.01)
    table = table[(table["seed"] == 0) | (table["h"] > 30)]
    found = lead(table)
    assert found.difference.value > 0
    assert math.isnan(found.difference.error)
    assert found.winner is None
