"""Laws of pairs of runs that are equal but for one key: who is paired with whom, and what is said of them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy import load_sweep
from feature_lazy.core.errors import ConfigError
from feature_lazy.runs.job import train_config
from feature_lazy.study import law as registry
from feature_lazy.study.exponents import width_slope
from feature_lazy.study.joined import joined, largest_gap
from feature_lazy.study.law import KINDS, Joined, Law, law
from feature_lazy.study.laws import JOINED, of_folder, pairs, readings
from feature_lazy.study.table import read
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS
from tests.study.conftest import sweep
from tests.study.test_contrasts import ARTICLE, FLOW, FROZEN, runs, together

LINEAR = FROZEN | {"at": "start"}
BY_DYNAMICS = Joined("dynamics", "gradient_flow", "linearised")
EVERYWHERE = (0.0, np.inf)


def gap_law(joins=BY_DYNAMICS, **more):
    """That the gap between the runs of a pair goes as h^−1."""

    def measure(table):
        return width_slope(table.assign(gap=table["value"] - table["value_other"]), "gap", EVERYWHERE)

    return Law("gap", "0000.00000", "", ("value",), measure, -1, "two widths", ("converged",), joins)


def valued(exponent=None, **keys):
    """Runs with a value, which is larger by h^exponent than what seeds share."""
    table = sweep(seeds=4, runs=False)
    noise = 1 + 0.01 * np.random.default_rng(1).standard_normal(len(table))
    more = 0.0 if exponent is None else noise * (table["h"] / 100.0) ** exponent
    return runs(table.assign(value=10.0 * table["seed"] + more), **keys)


@pytest.mark.parametrize(("exponent", "verdict"), [(-1.0, AGREES), (-0.5, DIFFERS)])
def test_a_law_of_pairs_finds_what_was_planted(exponent, verdict):
    table = together(valued(exponent), valued(dynamics=LINEAR))
    [row] = readings(gap_law(), table)
    assert (row.name, row.verdict, row.paper) == ("gap", verdict, "0000.00000")
    assert row.estimate.value == pytest.approx(exponent, abs=0.02)


def test_pairs_are_of_one_cell_and_columns_of_the_second_are_marked():
    table = together(valued(-1), valued(dynamics=LINEAR).iloc[3:9])
    [(name, found)] = joined(table, BY_DYNAMICS)
    assert (name, len(found)) == ("", 6)
    for _, row in found.iterrows():
        assert row["run"].config["dynamics"] == FLOW
        assert row["run_other"].config["dynamics"] == LINEAR
        assert row["run"].config["seed"] == row["run_other"].config["seed"] == {"kind": "single", "value": row["seed"]}
        assert row["run"].config["alpha"] == row["run_other"].config["alpha"]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"dynamics": FROZEN}, "another preset: its kernel is that of the end"),
        ({"dynamics": LINEAR | {"tolerance": 1e-3}}, "a key that both options have differs"),
        ({"dynamics": LINEAR, "bias": 0.1}, "another key differs too"),
        ({}, "nothing differs"),
    ],
)
def test_what_differs_in_more_is_no_pair(other, why):
    assert joined(together(valued(-1), valued(**other)), BY_DYNAMICS) == [], why
    assert readings(gap_law(), together(valued(-1), valued(**other))) == []


def test_keys_of_one_option_alone_do_not_part():
    """The article's stepper has a key of its own, and the linearised network has its moment."""
    linear = {"kind": "frozen_kernel", "stepper": "article", "at": "start"}
    assert len(joined(together(valued(-1, dynamics=ARTICLE), valued(dynamics=linear)), BY_DYNAMICS)) == 1


def test_a_key_at_its_default_is_not_stored():
    """``centred`` came later: a run without it has true."""
    table = together(valued(-1), valued(centred=False))
    assert [len(found) for _, found in joined(table, Joined("centred", True, False))] == [len(table) // 2]
    assert joined(table, Joined("centred", False, True))[0][1]["run"].iloc[0].config["centred"] is False
    noise = {"dataset": {"kind": "teacher_student"}}, {"dataset": {"kind": "teacher_student", "noise": 0.5}}
    table = together(*(valued(**one) for one in noise))
    [(_, found)] = joined(table, Joined("dataset.noise", 0.0, 0.5))
    assert "noise" not in found["run"].iloc[0].config["dataset"]
    # A group that came later, and an option without the key.
    assert joined(together(valued(), valued(dataset={"kind": "stripe"})), Joined("dataset.noise", 0.0)) == []


def test_another_architecture():
    cnn = {"kind": "cnn"}
    found = joined(together(valued(-1), runs(valued(), architecture=cnn)), Joined("architecture", "fully_connected"))
    assert [name for name, _ in found] == [""]
    assert found[0][1]["run_other"].iloc[0].config["architecture"] == cnn


def test_kinds_of_pairs_are_judged_apart_and_named():
    small, large = ({"dataset": {"kind": "digits", "n_train": p}} for p in (20, 40))
    table = together(
        *(valued(-1, **one).assign(P=p) for one, p in ((small, 20), (large, 40))),
        *(valued(dynamics=LINEAR, **one).assign(P=p) for one, p in ((small, 20), (large, 40))),
    )
    assert {row.name for row in readings(gap_law(), table)} == {"gap, P = 20", "gap, P = 40"}
    biases = together(valued(-1), valued(bias=0.1), valued(bias=0.2))
    found = readings(gap_law(Joined("architecture.bias", 0.0)), biases)
    assert {row.name for row in found} == {"gap, 0.1", "gap, 0.2"}


def test_both_runs_must_have_ended_as_the_law_asks():
    half = valued(dynamics=LINEAR)
    half.loc[half["h"] == 300, "outcome"] = "t_end"
    table = together(valued(-1), half)
    assert set(joined(table[table["outcome"] == "converged"], BY_DYNAMICS)[0][1]["h"]) == {30, 100}
    half["outcome"] = "t_end"
    assert readings(gap_law(), together(valued(-1), half)) == []


def test_what_a_law_needs_is_said():
    [row] = readings(gap_law(), together(valued(-1), valued(dynamics=LINEAR)).drop(columns="value"))
    assert (row.verdict, row.measured) == (CANNOT_TELL, "needs the column value, which no run has")


def test_such_laws_are_of_a_folder_and_not_of_a_kind(monkeypatch):
    mine = gap_law()
    registry.declared()  # what is found is found before: else it were forgotten
    monkeypatch.setattr(registry, "_declared", {("gap", mine.paper): mine})
    tables = {"network": valued(-1), "linearised": valued(dynamics=LINEAR)}
    found = of_folder(tables)
    assert {title: [row.name for row in rows] for title, rows in found.items()} == {
        "network": [],
        "linearised": [],
        JOINED: ["gap"],
    }
    assert len(pairs(pd.concat(tables.values()))) == 1
    assert JOINED not in of_folder({"network": valued(-1)})


def test_declared_by_a_decorator(monkeypatch):
    monkeypatch.setattr(registry, "_declared", {})
    made = law("mine", paper="x", across=BY_DYNAMICS)(lambda table: None)
    assert made.across == BY_DYNAMICS
    assert law("another", paper="x", across=KINDS)(lambda table: None).across == KINDS
    for key in ("alpha.value", "width", "seed", "observe.n_test"):
        with pytest.raises(ConfigError, match=f"joins runs by {key}, which pairs have in common"):
            law("no", paper="x", across=Joined(key, 1))(lambda table: None)
    both = together(valued(-1), valued(dynamics=LINEAR))
    with pytest.raises(ConfigError, match="there is no such option"):
        joined(both, Joined("dynamics", "gradient_flw"))


def over_time(t, values):
    return SimpleNamespace(over_time=lambda name: (np.array(t), np.array(values, dtype=float)))


def test_largest_gap_over_times_that_both_have():
    one = over_time([0, 1, 2, 3], [[0, 0], [1, 3], [9, 9], [0, 0]])
    two = over_time([0, 1, 3, 4], [[0, 0], [1, 1], [1, 0], [7, 7]])
    far = over_time([8], [[1, 1]])
    found = largest_gap(pd.DataFrame({"run": [one, one], "run_other": [two, far]}))
    assert found[0] == pytest.approx(2**0.5)  # at t = 1
    assert np.isnan(found[1])


def test_trained_networks_and_their_linearisations(tiny):
    """As such a sweep is trained and read: lazier networks are nearer to their linearisation."""
    for dynamics in ("gradient_flow", "linearised"):
        for alpha in (10, 1000):
            ask = ("observe/also=[outputs]", f"dynamics={dynamics}", f"alpha.value={alpha}")
            train_config(tiny(*ask, "loss=mse", "labels=regression", "dataset.n_train=8", "loss.margin_tol=0.3"))
    assert len(load_sweep(tiny().output_dir).runs) == 4
    [(_, found)] = joined(read(tiny().output_dir, mixed=("dynamics", "dynamics.at", "dynamics.kind")), BY_DYNAMICS)
    gaps = largest_gap(found.sort_values("sqrt_h_alpha"))
    assert len(gaps) == 2
    # The departure falls as 1/α: a hundredfold, and by at least ten whatever the constant.
    assert gaps.iloc[0] > 10 * gaps.iloc[1] > 0
