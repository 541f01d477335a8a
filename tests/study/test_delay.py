"""When a network fits and generalises, from histories."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.job import train_config
from feature_lazy.study.delay import with_delay
from tests.conftest import TINY

Y = np.array([1.0, -1, 3, -3])
"""Of variance 5."""


def of(train, test, t=(0.0, 1.0, 10.0, 100.0), *, unit=2.5, loss="mse", y=Y, on="loss", threshold=0.1):
    """The columns of one run whose losses are these, in units of the best constant's."""
    history = {"t": np.array(t), **{f"{n}/{on}": unit * np.array(v) for n, v in (("train", train), ("test", test))}}
    run = SimpleNamespace(history=history, outputs={"y_test": y}, config={"loss": {"kind": loss}}, run_id="r")
    return with_delay(pd.DataFrame({"run": [run]}), threshold, on).iloc[0]


def test_first_times_below_the_threshold_are_linear_in_ln_t():
    row = of([1, 0.3, 0.05, 0.05], [1, 0.9, 0.5, 0.02])
    fit, generalise = 0.2 / 0.25, 1 + 0.4 / 0.48
    assert np.log10([row.t_fit, row.t_generalise]) == pytest.approx([fit, generalise])
    assert row.delay == row.delay_at_least == pytest.approx((generalise - fit) * np.log(10))
    assert row.test_at_fit == pytest.approx(0.9 - 0.4 * fit)
    assert row.test_at_end == pytest.approx(0.02)


def test_a_run_that_has_not_generalised_has_a_bound_and_no_value():
    row = of([1, 0.3, 0.05, 0.01], [1, 1, 0.9, 0.8])
    assert np.isnan([row.t_generalise, row.delay]).all()
    assert row.delay_at_least == pytest.approx(np.log(100 / row.t_fit))
    none = of([1, 1, 1, 1], [1, 1, 1, 1])
    assert np.isnan([none.t_fit, none.delay_at_least, none.test_at_fit]).all()


def test_on_errors_a_threshold_is_a_fraction_for_any_loss():
    row = of([1, 0.3, 0.05, 0], [1, 0.9, 0.5, 0], unit=1, loss="hinge", on="error", y=np.array([0, 1, 2]))
    assert np.log10(row.t_fit) == pytest.approx(0.2 / 0.25)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"loss": "hinge"}, "loss=hinge of the run r: the loss of the best constant is known of mse with one output"),
        ({"y": np.array([0, 1])}, "the loss of the best constant is known of mse with one output"),
        ({"threshold": 0.0}, "threshold 0 on loss: it must be positive"),
    ],
)
def test_refusals(changed, sentence):
    with pytest.raises(StoreError, match=sentence):
        of([1, 1, 1, 1], [1, 1, 1, 1], **changed)


def test_export_has_the_columns_when_they_are_asked_for(tiny, tmp_path):
    train_config(tiny(*TINY, "loss=mse", "dynamics.t_end=1"))
    root, file = str(tmp_path / "results"), tmp_path / "runs.csv"
    assert main(["export", root, str(file), "--delay", "0.99"]) == 0
    assert pd.read_csv(file)["t_fit"].item() > 0
    assert main(["export", root, str(file)]) == 0
    assert "t_fit" not in pd.read_csv(file)
