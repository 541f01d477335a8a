"""What a sweep lacks is said in a sentence each."""

import numpy as np
import pytest

from feature_lazy.study.missing import missing
from tests.study.conftest import XS, sweep


@pytest.fixture(scope="module")
def planted():
    return sweep(1, seeds=5)


def test_a_full_sweep_lacks_nothing(planted):
    assert missing(planted) == []


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        (lambda t: t.iloc[1:], "1 of the 150 cells of the grid have no complete run: h = 30, √hα = 0.0001, seed 0."),
        (lambda t: t.iloc[4:], "h = 30, √hα = 0.0001, seed 2, …."),
        (lambda t: t.assign(outcome=["dt_floor", *t["outcome"][1:]]), "1 run did not converge (1 dt_floor)"),
        (lambda t: t[t["seed"] == 0], "There is one seed"),
        (lambda t: t[t["h"] == 30], "There is one width"),
        (lambda t: t.assign(kernel_change=np.nan), "The kernel change was not measured"),
        (lambda t: t[t["sqrt_h_alpha"] < 5], "The kernel change does not cross 1: the boundary needs larger √hα."),
        (lambda t: t[t["sqrt_h_alpha"] > 50], "The kernel change does not cross 1: the boundary needs smaller √hα."),
        (
            lambda t: t[t["sqrt_h_alpha"] > 0.05],
            "Fewer than two values of √hα are deep in the feature regime, √hα ≤ 0.3",
        ),
    ],
)
def test_what_a_sweep_lacks_is_a_sentence(planted, part, sentence):
    assert any(sentence in one for one in missing(part(planted)))


def test_grid_of_alpha_itself_has_no_holes(planted):
    """√h·α then differs from width to width, α does not."""
    alphas = np.tile(np.repeat(XS, 5), 3)
    table = planted.assign(alpha=alphas, sqrt_h_alpha=alphas * np.sqrt(planted["h"]))
    assert not [one for one in missing(table) if "cells" in one]
