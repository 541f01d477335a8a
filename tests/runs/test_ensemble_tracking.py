"""An ensemble shown as one run: which times, mean, standard error and members."""

import math

import pytest

from feature_lazy.runs.batch import build
from feature_lazy.runs.tracking.ensemble import EnsembleCell, MeanTracker
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from tests.runs import trackers
from tests.runs.trackers import Recorder

MEAN = ("tracking=custom", "tracking.target=tests.runs.trackers.Recorder", "tracking.ensemble=mean")


@pytest.fixture
def calls():
    trackers.CALLS.clear()
    return trackers.CALLS


def shown(calls):
    return [call[4] for call in calls if call[1] == "log"]


@pytest.fixture
def pair(tiny, calls):
    one, other = cells(tiny("seed=ensemble", "seed.members=2", "seed.first=3"))
    tracker = MeanTracker(Recorder(), [one, other], lambda _: None)
    tracker.start(one, [])
    tracker.start(other, [])
    # The first row comes with the start of the run.
    tracker.log(one, 0, {"t": 0.0, "x": 0.0})
    tracker.log(other, 0, {"t": 0.0, "x": 0.0})
    assert [call[1] for call in calls] == ["start"]
    return tracker, one, other


def test_mean_error_and_members(pair, calls):
    tracker, one, other = pair
    tracker.log(one, 1, {"t": 1.0, "x": 1.0, "kernel/change": 5.0})
    assert shown(calls) == []
    tracker.log(other, 1, {"t": 1.0, "x": 4.0})
    # Variance of 1 and 4: (1.5² + 1.5²)/1 = 4.5; of the mean: 2.25. Only what both have is joined.
    row = {"t": 1.0, "members": 2.0, "x": 2.5, "x/sem": 1.5, "x/seed3": 1.0, "x/seed4": 4.0}
    assert shown(calls) == [pytest.approx(row, rel=1e-14)]


def test_one_that_has_ended_stays_as_it_is_and_times_of_one_alone_are_left_out(pair, calls):
    tracker, one, other = pair
    tracker.log(one, 1, {"t": 0.7, "x": 2.0})  # its end; the other one is never observed there
    tracker.finish(one, {"outcome": "converged", "t": 0.7, "steps": 10})
    tracker.log(other, 1, {"t": 1.0, "x": 4.0})
    tracker.log(other, 2, {"t": 3.0, "x": 6.0})
    assert [(row["t"], row["x"]) for row in shown(calls)] == [(1.0, 3.0), (3.0, 4.0)]
    assert calls[-1][1] == "log"
    tracker.finish(other, {"outcome": "max_steps", "t": 3.0, "steps": 30})
    summary = calls[-1][3]
    assert (summary["outcome"], summary["steps"], summary["steps/seed4"]) == ("1 converged, 1 max_steps", 20.0, 30.0)
    assert summary["t"] == 3.0


def test_before_its_end_a_member_is_what_was_observed_then(pair, calls):
    tracker, one, other = pair
    tracker.log(one, 1, {"t": 5.0, "x": 2.0})
    tracker.finish(one, {"outcome": "converged", "t": 5.0})
    tracker.log(other, 1, {"t": 3.0, "x": 4.0})  # the first was not observed there, and had not ended
    tracker.log(other, 2, {"t": 5.0, "x": 6.0})
    assert [(row["t"], row["x"]) for row in shown(calls)] == [(5.0, 4.0)]


def test_rows_are_counted_from_the_first(pair, calls):
    tracker, one, other = pair
    for step in (1, 2, 3):
        tracker.log(one, step, {"t": float(step), "x": 1.0})
    tracker.log(other, 1, {"t": 1.0, "x": 1.0})
    tracker.log(other, 2, {"t": 3.0, "x": 1.0})
    assert [(call[3], call[4]["t"]) for call in calls if call[1] == "log"] == [(1, 1.0), (2, 3.0)]


def test_end_of_a_member_shows_what_waited_for_it(pair, calls):
    tracker, one, other = pair
    tracker.log(one, 1, {"t": 1.0, "x": 2.0})
    assert shown(calls) == []
    tracker.finish(other, {"outcome": "max_steps", "t": 0.0})
    assert [(row["t"], row["x"]) for row in shown(calls)] == [(1.0, 1.0)]


def test_summary_joins_numbers_and_nothing_else(pair, calls):
    tracker, one, other = pair
    tracker.finish(one, {"outcome": "converged", "t": 0.0, "fits": True, "only": 1.0, "x": 1})
    tracker.finish(other, {"outcome": "converged", "t": 0.0, "fits": False, "x": 3})
    numbers = {"x": 2.0, "x/sem": 1.0, "x/seed3": 1.0, "x/seed4": 3.0}
    assert calls[-1][1:] == ("finish", tracker.ensemble.run_id, {"outcome": "converged", "t": 0.0, **numbers})


def test_member_that_has_not_begun_may_end(tiny, calls):
    members = cells(tiny("seed=ensemble", "seed.members=2"))
    MeanTracker(Recorder(), members, lambda _: None).finish(members[0], {"outcome": "failed", "t": 0.0})
    assert calls == []


def test_ensemble_is_the_cell_of_its_members_without_their_seeds(tiny):
    members = cells(tiny("seed=ensemble", "seed.members=2", "seed.first=3"))
    ensemble = EnsembleCell.of(members)
    rest = {name: value for name, value in members[0].columns.items() if name != "seed"}
    assert ensemble.columns == {**rest, "members": 2, "seeds": [3, 4]}
    assert ensemble.config == {name: value for name, value in members[1].config.items() if name != "seed"}
    # The same members have the same id, and others another.
    assert EnsembleCell.of(members).run_id == ensemble.run_id != EnsembleCell.of(members[:1]).run_id


def test_ensemble_of_one_run_has_no_error(tiny, calls):
    [cell] = cells(tiny())
    tracker = MeanTracker(Recorder(), [cell], lambda _: None)
    tracker.start(cell, [])
    tracker.log(cell, 0, {"t": 0.0, "x": 1.0})
    tracker.log(cell, 1, {"t": 1.0, "x": 1.0})
    assert math.isnan(shown(calls)[0]["x/sem"])


def test_trained_ensemble_is_one_run_also_where_members_were_done_before(tiny, calls):
    job = ("seed=ensemble", "seed.members=3", "alpha.value=1", *MEAN)
    config = tiny(*job)
    ids = [cell.run_id for cell in cells(config)]
    run(build(config), only=ids[:1])
    assert calls == []  # two members are missing
    stored = run(build(config))
    ensemble = EnsembleCell.of(cells(config))
    assert [(call[1], call[2]) for call in calls if call[1] != "log"] == [
        ("start", ensemble.run_id),
        ("finish", ensemble.run_id),
    ]
    assert ensemble.label == "√hα=1 h=8 3 seeds"
    assert len({ensemble.run_id, *ids}) == 4
    longest = max(float(one.history["t"][-1]) for one in stored)
    times = [row["t"] for row in shown(calls)]
    assert times[-1] == longest
    assert times == sorted(set(times))
    common = set.intersection(*(set(one.history["t"].tolist()) for one in stored))
    assert common <= {0.0, *times}
    assert shown(calls)[-1]["train/loss"] == pytest.approx(
        sum(float(one.history["train/loss"][-1]) for one in stored) / 3, rel=1e-14
    )
