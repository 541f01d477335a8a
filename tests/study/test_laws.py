"""The table of laws: planted ones agree, broken ones differ, and what a grid cannot show is named."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from feature_lazy.study.laws import laws
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS, Reading
from tests.study.conftest import SPEED, sweep
from tests.work import calls

GAIN = "single error less error of the mean"


def by_name(table):
    found = laws(table)
    assert len({law.name for law in found}) == len(found)
    return {law.name: law for law in found}


@pytest.fixture(scope="module")
def planted():
    return sweep(1, seeds=5, fall=0.5)


def test_law_is_text_and_a_number(planted):
    for law in laws(planted):
        texts = [getattr(law, name) for name in ("name", "where", "expected", "measured", "verdict")]
        assert all(isinstance(text, str) and text for text in texts)
    with pytest.raises(dataclasses.FrozenInstanceError):
        law.name = "another"
    lazy = by_name(planted)["kernel change, lazy exponent"]
    assert lazy.target == -1
    assert lazy.measured == str(lazy.estimate)
    assert lazy.estimate.seeds == 5
    assert "√hα ≥ 110" in lazy.where


def test_planted_laws_agree(planted):
    """All but the error of the mean, which is 0 here, as that of each network is."""
    verdicts = {name: law.verdict for name, law in by_name(planted).items()}
    assert verdicts.pop(GAIN) == CANNOT_TELL
    assert set(verdicts.values()) == {AGREES}
    # Exponents 6; kernel change against h 2; crossings and slope 4; collapses 4; a hidden layer; growth 4; variance 2.
    assert len(verdicts) == 6 + 2 + 4 + 4 + 1 + 4 + 2


@pytest.mark.parametrize(
    ("column", "power", "law"),
    [
        ("kernel_change", 0.1, "kernel change, lazy exponent"),
        ("kernel_change", 0.4, "kernel change, feature exponent"),
        ("weights/change", 0.1, "weight change, lazy exponent"),
        ("weights/change", 0.2, "weight change, feature exponent"),
        ("t_half", 0.1, "half-loss time, feature exponent"),
        ("t_half", 0.1, "half-loss time, lazy exponent"),
    ],
)
def test_exponent_that_is_off_differs(planted, column, power, law):
    off = planted.assign(**{column: planted[column] * planted["sqrt_h_alpha"] ** power})
    assert by_name(off)[law].verdict == DIFFERS


def test_laws_of_the_width_differ_where_they_are_broken():
    moved = sweep(1, seeds=5, sd=0.02, star=lambda h: (h / 100) ** 0.5)
    moved[SPEED] *= moved["h"] ** 0.1
    found = by_name(moved)
    for name in (
        "α* against h",
        "kernel change = 1, h = 30",
        "collapse of kernel change",
        "collapse of test error, rescaled",
        "kernel change against h, lazy",
        "kernel change against h, feature",
        "√hα × preactivation speed in W0 against h",
    ):
        assert found[name].verdict == DIFFERS, name
    assert found["α* against h"].estimate.value == pytest.approx(0, abs=0.02)
    planted = sweep(1, seeds=5)
    for run, h in zip(planted["run"], planted["h"], strict=True):
        run.outputs["F_test"] = run.outputs["y_test"] + h**0.5 * (run.outputs["F_test"] - run.outputs["y_test"])
        run.history["output/df_rms"] = run.history["output/df_rms"] ** 1.5 / 20
    found = by_name(planted)
    for name in (
        "variance against h, lazy",
        "variance against h, feature",
        "output growth, early exponent of t",
        "output at t½/5 against h",
        "output at t½ against h",
    ):
        assert found[name].verdict == DIFFERS, name


def test_curves_that_collapse_against_anything_cannot_tell(planted):
    flat = planted.assign(t_half=np.exp(0.1 * np.random.default_rng(0).standard_normal(len(planted))))
    assert by_name(flat)["collapse of half-loss time"].verdict == CANNOT_TELL


def test_output_that_does_not_reach_sqrt_h_in_time_differs():
    table = sweep(1)
    for run in table["run"]:
        run.history["output/df_rms"] = run.history["output/df_rms"] / 2
    assert by_name(table)["1 − t/t½ at which the output is √h"].verdict == DIFFERS


def test_bend_that_is_sure_widens_what_agrees(planted):
    """−1 at one end of the range and −1.4 at the other is no disagreement with −1; −1.4 throughout is one."""
    x = planted["sqrt_h_alpha"]
    u = np.log(np.maximum(x / 1e3, 1))
    curved = planted.assign(kernel_change=planted["kernel_change"] * np.exp(-0.2 * u**2 / np.log(1e2)))
    law = by_name(curved)["kernel change, lazy exponent"]
    assert "bends by ±0.2" in law.measured or "bends by ±0.19" in law.measured
    assert law.verdict == AGREES


def test_one_seed_gives_values_and_no_verdict(planted):
    for name, law in by_name(planted[planted["seed"] == 0]).items():
        assert law.verdict == CANNOT_TELL, name
        assert "one seed" in law.measured or "needs two" in law.measured, name
    assert by_name(planted[planted["seed"] == 0])["kernel change, lazy exponent"].estimate.value < -0.9


@pytest.mark.parametrize(
    ("part", "law", "lacks"),
    [
        (lambda t: t[t["sqrt_h_alpha"] > 1e2], "weight change, feature exponent", "two values of √hα with √hα ≤ 1.1"),
        (lambda t: t[t["sqrt_h_alpha"] < 1e2], "kernel change, lazy exponent", "two values of √hα with √hα ≥ 1"),
        (lambda t: t[t["h"] == 30], "α* against h", "a kernel change through 1 at two widths"),
        (lambda t: t[t["h"] == 30], "collapse of kernel change", "two widths"),
        (lambda t: t[t["h"] == 30], "variance against h, lazy", "two widths deep in the lazy regime"),
        (lambda t: t[t["h"] == 30], "√hα × preactivation speed in W0 against h", "two widths"),
        (lambda t: t[t["seed"] == 0], GAIN, "two seeds"),
        (lambda t: t[t["sqrt_h_alpha"] > 1e-1], "output growth, early exponent of t", "runs at √hα ≤ 0.011"),
        (lambda t: t.assign(kernel_change=np.nan), "weight change, lazy exponent", "a kernel change"),
        (lambda t: t.drop(columns="t_half"), "half-loss time, lazy exponent", "a half-loss time"),
        (lambda t: t.assign(activation="relu"), "kernel change, middle exponent", "a middle regime"),
    ],
)
def test_what_the_grid_lacks_is_named(planted, part, law, lacks):
    found = by_name(part(planted))[law]
    assert found.verdict == CANNOT_TELL
    assert f"needs {lacks}" in found.measured
    assert found.estimate is None


def test_no_run_that_converged_gives_no_number(planted):
    for law in laws(planted.assign(outcome="dt_floor")):
        assert law.verdict == CANNOT_TELL
        assert law.estimate is None


def test_runs_that_did_not_converge_are_left_out(planted):
    wrong = planted.copy()
    wrong.loc[wrong["seed"] == 4, ["outcome", "kernel_change"]] = ["max_steps", 1e9]
    assert (
        by_name(wrong)["kernel change, lazy exponent"]
        == by_name(planted[planted["seed"] < 4])["kernel change, lazy exponent"]
    )


def test_unknown_depth_gives_a_value_and_no_verdict(planted):
    found = by_name(planted.assign(L=np.nan))["kernel change, feature exponent"]
    assert found.verdict == CANNOT_TELL
    assert found.measured.startswith("-1.")


def several_depths(trend=1.0):
    tables = []
    for depth in (2, 3, 5):
        table = sweep(depth, L=depth)
        x = np.minimum(table["sqrt_h_alpha"], 1.0)
        more = -2 * depth / (depth + 1) + 1.5
        table["kernel_change"] *= x ** (trend * more)
        table["weights/change"] *= x ** (trend * (0.25 - 1 / (depth + 1)))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def test_laws_of_each_depth_and_of_their_order():
    found = by_name(several_depths())
    for depth in (2, 3, 5):
        law = found[f"kernel change, feature exponent, L = {depth}"]
        assert law.estimate.value == pytest.approx(-2 * depth / (depth + 1), abs=0.02)
        assert law.verdict == AGREES
    wrong = by_name(several_depths(-1.0))
    for name in ("a(L) against 2L/(L+1)", "b(L) against 1/(L+1)"):
        assert found[name].verdict == AGREES
        assert found[name].estimate.value == pytest.approx(1, abs=0.2)
        assert wrong[name].verdict == DIFFERS


def test_variance_against_the_number_of_patterns():
    """Planted ~ P^½ in the lazy regime and nowhere else."""
    table = pd.concat([sweep(p, P=p, seeds=5) for p in (100, 1000)], ignore_index=True)
    lazy = table[table["sqrt_h_alpha"] > 100]
    for run, p in zip(lazy["run"], lazy["P"], strict=True):
        run.outputs["F_test"] = run.outputs["y_test"] + p**0.25 * (run.outputs["F_test"] - run.outputs["y_test"])
    law = by_name(table)["variance against P, lazy"]
    assert law.verdict == AGREES
    assert law.estimate.value == pytest.approx(0.5, abs=0.05)


def test_speeds_are_compared_across_alpha(planted):
    """At one α each width has a √h·α of its own; ‖ż‖ ~ 1/α is exact, so that widths are compared all the same."""
    one = planted[planted["sqrt_h_alpha"] == np.select([planted["h"] == 30, planted["h"] == 100], [0.1, 1.0], 10.0)]
    law = by_name(one)["√hα × preactivation speed in W0 against h"]
    assert law.verdict == AGREES
    assert law.estimate.value == pytest.approx(0, abs=0.1)


def test_layers_that_no_run_has_are_no_laws(planted):
    other = planted.assign(**{"preactivations/W9/speed": np.nan})
    assert [law.name for law in laws(other)] == [law.name for law in laws(planted)]


def test_laws_are_quick(planted):
    """Few laws go through the runs one by one: seven times as many take twice the calls. Measured: 2.1."""
    big = pd.concat([planted.assign(seed=planted["seed"] + 5 * k) for k in range(7)], ignore_index=True)
    assert len(big) == 1050
    assert calls(lambda: laws(big)) < 3 * calls(lambda: laws(planted))
    assert isinstance(laws(big)[0], Reading)
