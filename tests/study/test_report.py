"""What the report says of a folder: planted laws and regimes come out, and whatever is missing is said."""

import numpy as np
import pytest

from feature_lazy.runs.reading import ERROR, HISTORY
from feature_lazy.runs.survey import survey
from feature_lazy.study.grid import edges
from feature_lazy.study.laws import laws
from feature_lazy.study.phases import bests, boundaries
from feature_lazy.study.report import write_report
from feature_lazy.study.report.cells import cells, not_done
from feature_lazy.study.report.curves import MOST_OBSERVATIONS, curves, limit_for, mean, thin
from feature_lazy.study.report.groups import group
from feature_lazy.study.report.lacking import missing
from feature_lazy.study.report.points import against
from feature_lazy.study.sentences import verdicts
from tests.study.conftest import sweep
from tests.study.stored_sweeps import BOUNDARY, XS, ask, columns, kernel_change, name, plant, planted_error


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def whole(folder):
    [only] = group(survey(folder))
    return only


@pytest.fixture(scope="module")
def rows(whole):
    return cells(whole)


def test_one_group_of_one_kind(whole):
    assert whole.name == ""
    assert len(whole.entries) == len(whole.table) == len(XS) * 2 * 3


def test_cells_have_means_and_regimes(whole, rows):
    assert [(row["h"], row["x"]) for row in rows] == [(h, x) for h in (30, 100) for x in XS]
    for row in rows:
        assert row["done"] == row["asked"] == 3
        # Factors e^{0.05 g} of three seeds: four standard errors of their mean.
        assert row["kernel"] == pytest.approx(kernel_change(row["x"]), rel=4 * 0.05 / 3**0.5)
        here = whole.table[(whole.table["h"] == row["h"]) & (whole.table["sqrt_h_alpha"] == row["x"])]["kernel_change"]
        assert row["kernel"] == pytest.approx(np.exp(np.log(here).mean()), rel=1e-12)
        assert row["error"] == pytest.approx(planted_error(row["x"]), abs=1e-3)
        assert row["regime"] == ("feature" if row["x"] <= 10 else "lazy")
        assert row["alpha"] == pytest.approx(row["x"] / row["h"] ** 0.5)
        assert row["a0"] / row["alpha"] == pytest.approx(row["x0"] / row["x"])
        assert row["a1"] / row["alpha"] == pytest.approx(row["x1"] / row["x"])


def test_cells_touch():
    low, high = edges(np.array([1.0, 10.0, 1000.0]))
    np.testing.assert_allclose(low, [10**-0.5, 10**0.5, 100])
    np.testing.assert_allclose(high, [10**0.5, 100, 1e4])


def test_best_of_a_width_is_paired_over_seeds(whole, rows):
    """Lazy errors are 0.05 and feature errors 0.15, each up to 0.001 more: ten points apart, and lazy ones alike."""
    for h in (30, 100):
        here = [row for row in rows if row["h"] == h]
        assert [row["best"] for row in here].count(True) == 1
        assert all(row["regime"] == "lazy" for row in here if row["good"])
        assert min(row["excess"] for row in here) == 0
    for one in bests(whole.table).values():
        assert one.winner == "lazy"
        assert one.difference.value == pytest.approx(0.1, abs=1e-3)
        assert one.difference.error < 2e-3


def test_boundary_is_where_it_was_planted(whole):
    found = boundaries(whole.table)
    assert set(found) == {30, 100}
    for estimate in found.values():
        # Interpolated between 10 and 100 with the exponent −1; four standard errors of three seeds.
        assert estimate.value == pytest.approx(BOUNDARY, rel=4 * 0.05 / 3**0.5)


def test_a_verdict_for_each_regime(whole):
    found = {kind: text for kind, _, text in verdicts(whole.table, laws(whole.table))}
    assert "30 runs at √h·α ≤ 10:" in found["feature"]
    assert "24 runs at √h·α ≥ 100:" in found["lazy"]
    assert "It stays there over a factor 3.33 in h (α* ~ h^s with s = -0.5" in found["boundary"]
    assert "where one at a fixed α would move by a factor 1.83" in found["boundary"]
    assert found["best"].startswith("Lazy training at h = 30 (+")


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (lambda h, seed: 8.0, "It stays there"),
        (lambda h, seed: 8 * np.sqrt(h / 30), "It moves"),
        (lambda h, seed: 8 * (h / 30) ** (seed - 1), "Whether it stays there over a factor 3.33 in h cannot be told"),
    ],
)
def test_the_boundary_stays_or_moves_as_far_as_its_errors_tell(x, said):
    """Planted boundaries: one for all widths, one at a fixed α, and one that each seed has elsewhere."""
    table = sweep(3, seeds=3, widths=(30, 100), runs=False)
    at = [x(h, seed) for h, seed in zip(table["h"], table["seed"], strict=True)]
    table["kernel_change"] = at / table["sqrt_h_alpha"]
    found = {kind: text for kind, _, text in verdicts(table, laws(table))}
    assert f". {said}" in found["boundary"]


def test_nothing_is_missing_of_a_full_sweep(whole, rows):
    assert missing(whole, rows, curves(whole, rows, 100)) == []


def test_curves_are_the_histories(whole, rows):
    columns_ = curves(whole, rows, 100)
    assert len(columns_.curves) == len(whole.table) + len(rows)
    for curve in columns_.curves[:4]:
        part = {n: values[curve["begin"] : curve["end"]] for n, values in columns_.columns.items()}
        assert len(part["t"]) == 20
        if curve["seed"] is not None:
            [stored] = [r for r in whole.table["run"] if r.run_id == curve["id"]]
            # Five digits, and t = 0 left out.
            np.testing.assert_allclose(part["kernel/change"], stored.history["kernel/change"][1:], rtol=5e-5)
    members, average = columns_.curves[:3], columns_.curves[3]
    values = [columns_.columns["kernel/change"][c["begin"] : c["end"]] for c in members]
    expected = np.mean(values, axis=0)
    found = columns_.columns["kernel/change"][average["begin"] : average["end"]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_member_that_is_done_keeps_its_last_value_in_the_mean():
    members = [
        {"t": np.array([1.0, 10.0]), "q": np.array([1.0, 3.0])},
        {"t": np.array([1.0, 10.0, 1000.0]), "q": np.array([1.0, np.nan, 7.0])},
    ]
    found = mean(members, ["q"], 100)
    np.testing.assert_allclose(found["t"], [1, 10, 1000])
    # The second is 3 at t = 10: a third of the way from 1 to 7 in log t.
    np.testing.assert_allclose(found["q"], [1, 3, 5])


def test_long_histories_are_thinned_evenly_in_log_t_and_it_is_said(whole, rows):
    thinned = thin(whole.table["run"].iloc[0], ["train/loss"], 7)
    assert len(thinned["t"]) == 7
    steps = np.diff(np.log(thinned["t"]))
    assert steps.max() < 1.5 * steps.min()
    said = missing(whole, rows, curves(whole, rows, 7))
    assert said == ["Of each history 7 observations are kept, even in log t; all are in the stored runs."]


def test_many_runs_keep_fewer_observations(whole):
    assert limit_for([whole]) == MOST_OBSERVATIONS
    assert limit_for([whole] * 200) < MOST_OBSERVATIONS / 2


def test_points_carry_error_bars_and_ensembles(whole):
    points = against(whole, [30, 100], 0.02)
    single = [p for p in points["error"] if not p.get("dashed")]
    assert len(single) == len(points["variance"]) == 2 * len(XS)
    assert all(p["low"] < p["v"] < p["high"] for p in single)
    assert {p["colour"] for p in single} == {"var(--o0)", "var(--o1)"}
    assert [p["v"] for p in points["error"] if p.get("guide")] == [0.02, 0.02]
    assert len([p for p in points["error"] if p.get("dashed")]) == 2 * len(XS) + 2


def half_finished(root):
    """Two of three seeds stored, the third queued; one more failed, one damaged, one that did not converge."""
    plant(root, xs=XS[2:6], seeds=2)
    wanted = [columns(h, x, seed) for h in (30, 100) for x in XS[2:6] for seed in range(3)]
    ask(root, [*wanted, columns(30, 1e3, 0), columns(100, 1e6, 0)])
    failed = root / "runs" / name(columns(30, 1e3, 0))
    failed.mkdir()
    (failed / ERROR).write_text("OutOfMemoryError: 3 GiB were asked for\nmore\n")
    with (root / "runs" / name(columns(100, XS[2], 1)) / HISTORY).open("ab") as file:
        file.write(b"{}\n")
    return root


def test_a_half_finished_sweep_shows_what_is_done_and_says_what_is_not(tmp_path):
    [part] = group(survey(half_finished(tmp_path)))
    rows = cells(part)
    assert len(part.table) == 15  # of 16 that are complete, one is damaged
    assert [row["asked"] for row in rows] == [3] * 4 + [1] + [3] * 4 + [1]
    said = " ".join(missing(part, rows, curves(part, rows, 100)))
    assert "history.jsonl does not match its checksum" in said
    assert "11 of 26 runs are not complete: the figures show the others; 2 cells" in said
    assert "Not every cell has as many seeds" in said
    reasons = {(row["state"], row["note"]): row["n"] for row in not_done(part)}
    assert reasons == {("queued", ""): 9, ("failed", "OutOfMemoryError: 3 GiB were asked for"): 1}
    text = write_report(tmp_path).read_text()
    assert "OutOfMemoryError: 3 GiB were asked for" in text
    assert "√hα = 1000, h = 30, seed 0" in text


def test_groups_are_told_apart_by_what_differs(tmp_path):
    plant(tmp_path, xs=XS[:2], seeds=1)
    plant(tmp_path, xs=XS[:3], seeds=1, P=40, L=2)
    assert [(one.name, len(one.table)) for one in group(survey(tmp_path))] == [
        ("P = 40, L = 2", 6),
        ("P = 20, L = 3", 4),
    ]


def test_groups_differ_in_configuration_too(tmp_path):
    """What no column says; α, width, seed and what is observed may differ within a group."""
    for tolerance, h, xs in ((0.01, 30, XS[:1]), (0.01, 100, XS[:1]), (0.1, 30, XS[1:2])):
        config = {
            "dynamics": {"kind": "gradient_flow", "tolerance": tolerance},
            "width": {"kind": "uniform", "h": h},
            "observe": {"per_decade": h},
        }
        plant(tmp_path, xs=xs, widths=(h,), seeds=1, config=config)
    names = [(one.name, len(one.table)) for one in group(survey(tmp_path))]
    assert names == [("dynamics.tolerance = 0.01", 2), ("dynamics.tolerance = 0.1", 1)]
