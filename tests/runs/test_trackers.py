"""``Trackers`` without a training: what they pass on, in which words they give up, and how they end."""

import json
import logging
import math
import threading

import pytest

from feature_lazy.runs.tracking import Trackers
from feature_lazy.runs.tracking.tensorboard import TensorBoard
from feature_lazy.settings.cells import cells
from tests.runs import trackers
from tests.runs.test_tracking import calls, said  # noqa: F401 - a fixture
from tests.runs.trackers import Recorder


class Broken:
    """Fails whatever it is asked for."""

    def __init__(self, message="disk full"):
        self.message = message

    def start(self, *arguments):
        raise OSError(self.message)

    log = finish = start


@pytest.fixture
def cell(tiny):
    [one] = cells(tiny())
    return one


def whole(tracker, cell):
    """A run from its start to its end."""
    tracker.start(cell, [{"t": 0.0}])
    tracker.log(cell, 1, {"t": 1.0})
    tracker.finish(cell, {"outcome": "converged"})


def test_first_failure_only_is_said(cell, caplog):
    tracker = Trackers({"one": Broken})
    whole(tracker, cell)
    tracker.close()
    assert said(caplog) == ["Tracking by one stopped, training goes on: OSError: disk full"]


def test_message_is_one_line_without_secrets(cell, caplog, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "sesame-open")
    tracker = Trackers({"one": lambda: Broken("no entry:\n\tsesame-open")})
    whole(tracker, cell)
    tracker.close()
    assert said(caplog) == ["Tracking by one stopped, training goes on: OSError: no entry: ***"]


def test_numbers_are_those_of_the_store(cell, calls):  # noqa: F811
    class Keeping(Recorder):
        def start(self, cell, rows):
            seen.extend(rows)

    seen = []
    tracker = Trackers({"one": Keeping})
    row = {"t": 1.0, "loss": math.inf, "other": -math.inf}
    tracker.start(cell, [row])
    tracker.log(cell, 1, row)
    tracker.close()
    [(*_, logged)] = calls
    for told in (*seen, logged):
        assert told["t"] == 1.0
        assert math.isnan(told["loss"])
        assert math.isnan(told["other"])
    assert row["loss"] == math.inf


def test_summary_that_changes_later_is_told_as_it_was(cell, calls):  # noqa: F811
    class Waiting(Recorder):
        def start(self, cell, rows):
            trackers.RELEASE.wait()

    tracker, summary = Trackers({"one": Waiting}), {"outcome": "converged"}
    tracker.start(cell, [])
    tracker.finish(cell, summary)
    summary["outcome"] = "other"
    trackers.RELEASE.set()
    tracker.close()
    assert calls == [("own", "finish", cell.run_id, {"outcome": "converged"})]


def test_after_closing_the_next_call_begins_again(cell, calls):  # noqa: F811
    tracker = Trackers({"one": Recorder})
    for _ in range(2):
        whole(tracker, cell)
        tracker.close()
    assert [call[1] for call in calls] == ["start", "log", "finish"] * 2


def test_what_is_left_behind_is_neither_waited_for_nor_heard_of_again(cell, calls, caplog):  # noqa: F811
    class Late(Recorder):
        def log(self, cell, step, row):
            trackers.RELEASE.wait()
            raise OSError("disk full")

    tracker = Trackers({"one": Late})
    whole(tracker, cell)
    thread = tracker.thread
    assert thread.daemon  # it does not keep a process from ending
    tracker.close(0.1)
    whole(tracker, cell)
    thread.join = pytest.fail  # there is nobody to wait for
    tracker.close()
    del thread.join
    trackers.RELEASE.set()
    thread.join(10)
    assert thread not in threading.enumerate()
    assert said(caplog) == ["Tracking by one has not ended after 0.1 s, and is left behind; runs are stored."]
    assert [call[1] for call in calls] == ["start"]


def test_all_are_told_whoever_fails(cell, calls, caplog):  # noqa: F811
    with caplog.at_level(logging.WARNING):
        tracker = Trackers({"broken": Broken, "a": lambda: Recorder("a"), "b": lambda: Recorder("b")})
        whole(tracker, cell)
        tracker.close()
    assert [call[:2] for call in calls] == [(name, call) for call in ("start", "log", "finish") for name in "ab"]


def test_tensorboard_has_columns_and_summary_as_soon_as_a_run_has_ended(cell, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = TensorBoard(tmp_path)
    tracker.start(cell, [])
    tracker.log(cell, 0, {"t": 1.0})
    tracker.finish(cell, {"outcome": "converged"})
    assert tracker.open == {}
    events = reader.EventAccumulator(str(tmp_path / cell.run_id))
    events.Reload()
    texts = {name: events.Tensors(f"{name}/text_summary")[0] for name in ("run", "summary")}
    told = {name: text.tensor_proto.string_val[0].decode() for name, text in texts.items()}
    label, columns = told["run"].split("\n\n")
    assert (label, json.loads(columns)) == (cell.label, cell.columns)
    assert json.loads(told["summary"]) == {"outcome": "converged"}
    assert [(event.step, event.value) for event in events.Scalars("t")] == [(0, 1.0)]
