"""Laws of the article, from training to verdicts, in a sweep that is really trained and small enough for CI."""

import pytest

from feature_lazy.runs.batch import build
from feature_lazy.runs.train import run
from feature_lazy.study.laws import laws
from feature_lazy.study.table import read
from feature_lazy.study.verdict import AGREES
from tests.conftest import composed

SWEEP = (
    "dataset=digits",
    "dataset.n_train=50",
    "dataset.n_test=200",
    "architecture.depth=2",
    "seed=ensemble",
    "seed.members=4",
    "observe.per_decade=4",
)
XS = ("1e-3", "1e-2", "1e-1", "1", "10", "1e3", "1e4")
WIDTHS = (20, 80)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    for h in WIDTHS:
        for x in XS:
            run(build(composed(*SWEEP, f"width.h={h}", f"alpha.value={x}", f"output_dir={root}")))
    return {law.name: law for law in laws(read(root))}


@pytest.mark.parametrize(
    "name",
    [
        "kernel change, lazy exponent",
        "kernel change, feature exponent",
        "weight change, lazy exponent",
        "weight change, feature exponent",
        "half-loss time, lazy exponent",
        "half-loss time, feature exponent",
        "kernel change = 1, h = 20",
        "kernel change = 1, h = 80",
        "α* against h",
        "collapse of half-loss time",
        "output growth, early exponent of t",
        "1 − t/t½ at which the output is √h",
    ],
)
def test_law_comes_out(found, name):
    assert found[name].verdict == AGREES, found[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kernel change, lazy exponent", -1.0),
        ("weight change, lazy exponent", -1.0),
        ("half-loss time, lazy exponent", 0.0),
        ("kernel change, feature exponent", -4 / 3),
        ("weight change, feature exponent", -1 / 3),
    ],
)
def test_exponent_is_known_well_enough_to_tell(found, name, expected):
    """Every error bar is far from hiding a neighbouring exponent: 2L/(L + 1) is 1.5 at L = 3, 1/(L + 1) is ¼."""
    assert found[name].target == pytest.approx(expected)
    assert found[name].estimate.error < 0.02
