"""What differs in one key is found among runs of all kinds, and judged; what differs in more is not compared."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from feature_lazy.study.laws import contrasts
from feature_lazy.study.verdict import AGREES, DIFFERS
from tests.study.test_pairs import errors, moved

FLOW = {"kind": "gradient_flow", "stepper": "auto", "tolerance": 1e-2}
ARTICLE = {"kind": "gradient_flow", "stepper": "article", "eps_gradient": 1e-4}
FROZEN = {"kind": "frozen_kernel", "stepper": "auto", "tolerance": 1e-2, "at": "end"}


def runs(table, *, dynamics=FLOW, bias=0.0, **config):
    """The table as runs with a configuration; α and seed, in which cells differ, are in it too."""
    whole = {"architecture": {"kind": "fully_connected", "bias": bias}, "dynamics": dynamics, **config}
    cells = zip(table["alpha"], table["seed"], strict=True)
    own = [whole | {"alpha": a, "seed": {"kind": "single", "value": s}} for a, s in cells]
    return table.assign(run=[SimpleNamespace(config=config, inputs={}) for config in own])


def together(*tables):
    """One table with any order of its rows, and a configuration that nobody shares."""
    return pd.concat(tables).sample(frac=1, random_state=1)


@pytest.mark.parametrize(("by", "verdict"), [(0.0, AGREES), (0.1, DIFFERS)])
@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("test/error: bias 0.1", {"bias": 0.1}),
        ("test/error: kernel of the end", {"dynamics": FROZEN}),
        ("test/error: ε_∇ = 1e-06", {"dynamics": ARTICLE | {"eps_gradient": 1e-6}}),
    ],
)
def test_key_that_ought_not_to_matter(name, other, by, verdict):
    usual = {"dynamics": ARTICLE} if "∇" in name else {}
    [law] = contrasts(together(runs(errors(), **usual), runs(moved(errors(), by), **other)))
    assert (law.name, law.verdict) == (name, verdict)
    assert law.estimate.value == pytest.approx(by, abs=1e-3)  # the usual one is what is taken off
    assert "150 pairs" in law.measured


def test_f0_matters_at_large_alpha_only():
    table = errors()
    late = np.where(table["sqrt_h_alpha"] > 100, 0.3, 0.0)
    feature, lazy = contrasts(together(runs(table), runs(moved(table, late), centred=False)))
    assert (feature.verdict, lazy.verdict) == (AGREES, AGREES)
    assert lazy.estimate.value == pytest.approx(-0.3, abs=0.01)  # centred less not centred


def test_nothing_varied_is_nothing_said():
    assert contrasts(runs(errors())) == []
    assert contrasts(runs(errors()).assign(run=[SimpleNamespace(config={}, inputs={})] * 150)) == []


def test_runs_that_differ_in_more_are_not_compared():
    assert contrasts(together(runs(errors()), runs(errors(1), bias=0.1, loss={"kind": "mse"}))) == []
    start = runs(errors(1), dynamics=FROZEN | {"at": "start"})
    assert contrasts(together(runs(errors()), start)) == []


def test_values_without_the_usual_one_are_not_compared():
    assert contrasts(together(runs(errors(), bias=0.2), runs(errors(1), bias=0.1))) == []


def test_each_kind_of_runs_has_a_law_of_its_own():
    near, far = errors(dataset="digits"), errors(dataset="mnist1d")
    tables = [
        runs(near, loss={"kind": "soft_hinge", "beta": 1}),
        runs(moved(near, 0.0), loss={"kind": "soft_hinge", "beta": 1}, bias=0.1),
    ]
    tables += [
        runs(far, loss={"kind": "soft_hinge", "beta": 2}),
        runs(moved(far, 0.1), loss={"kind": "soft_hinge", "beta": 2}, bias=0.1),
    ]
    found = {law.name: law.verdict for law in contrasts(together(*tables))}
    assert found == {
        "test/error: bias 0.1, dataset = digits": AGREES,
        "test/error: bias 0.1, dataset = mnist1d": DIFFERS,
    }


def test_kinds_that_no_column_tells_apart_have_names_of_their_own():
    table = errors()
    late = np.where(table["sqrt_h_alpha"] > 100, 0.3, 0.0)
    tables = [runs(table, loss={"kind": "soft_hinge", "beta": b}) for b in (1, 2)]
    tables += [runs(moved(table, late), loss={"kind": "soft_hinge", "beta": b}, centred=False) for b in (1, 2)]
    names = {law.name for law in contrasts(together(*tables))}
    assert names == {
        f"test/error: f₀ removed, {regime}, loss.beta = {b}" for b in (1, 2) for regime in ("feature", "lazy")
    }


def test_a_flow_by_another_tolerance_is_no_pair_of_a_frozen_kernel():
    loose = runs(moved(errors(), 0.0, rng=5), dynamics=FLOW | {"tolerance": 0.1})
    [law] = contrasts(together(runs(errors()), loose, runs(moved(errors(), 0.0), dynamics=FROZEN)))
    assert "150 pairs" in law.measured


def test_runs_that_fit_nothing_do_not_count():
    broken = runs(moved(errors(), 0.1), bias=0.1)
    broken = broken.assign(outcome=np.where(broken["seed"] == 0, "t_end", "dt_floor"))
    broken["train/unfit"] = 0.02 * broken["P"]
    assert contrasts(together(runs(errors()), broken)) == []
    broken["train/unfit"] = 0.01 * broken["P"]
    assert len(contrasts(together(runs(errors()), broken))) == 1
