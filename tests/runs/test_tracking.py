"""Trackers beside the training: what they are told, and that they change nothing, fail nothing and delay nothing."""

import json
import logging
import math
import sys
import threading
import types

import pytest

from feature_lazy.core.errors import ConfigError
from feature_lazy.launch.commands import main
from feature_lazy.runs import train as run_module
from feature_lazy.runs.batch import build
from feature_lazy.runs.reading import HISTORY, OUTPUTS
from feature_lazy.runs.tracking import Trackers
from feature_lazy.runs.tracking.jsonl import JsonLines
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.checks import validate
from tests.conftest import QUICK
from tests.runs import trackers
from tests.runs.trackers import Recorder
from tests.runs.wandb_files import agree, nobody, offline_runs  # noqa: F401 - a fixture

SECOND = "dynamics.max_steps"
FILES = ("tracking=several", "tracking.sinks=[wandb,jsonl,tensorboard]")


def said(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("feature_lazy.runs.tracking")]


@pytest.fixture
def calls():
    trackers.CALLS.clear()
    trackers.RELEASE.clear()
    yield trackers.CALLS
    trackers.RELEASE.set()


def test_members_are_two_runs_with_the_history_that_is_stored(tiny, tmp_path, caplog, nobody):  # noqa: F811
    job = (*QUICK, "seed=ensemble", "seed.members=2", "observe.kernel.probe=0", "tracking.tags=[first]")
    stored = {one.run_id: one for one in run(build(tiny("tracking=wandb", *job, "tracking.project=laziness")))}
    nobody()  # a run that is finished may still be in its buffers
    assert said(caplog) == []
    found = offline_runs(tmp_path / "results")
    assert found.keys() == stored.keys()
    for run_id, [written] in found.items():
        one = stored[run_id]
        about = {name: written.about[name] for name in ("run_id", "project", "run_group", "job_type", "tags")}
        kind = {"project": "laziness", "run_group": "results", "job_type": "gradient_flow", "tags": ["first"]}
        assert about == {"run_id": run_id, **kind}
        assert written.about["display_name"] == f"√hα=10 h=8 seed={one.columns['seed']}"
        assert one.columns.items() <= written.config.items()
        assert (written.config["cell"], written.config["science"]) == ("√hα=10 h=8", one.config)
        assert len(written.rows) > 5
        agree(written.rows, one)
        assert all(row["log10_t"] == pytest.approx(math.log10(row["t"])) for row in written.rows[1:])
        assert {name: written.summary[name] for name in one.summary} == one.summary
        assert written.summary["test/error_min"] == min(one.history["test/error"])
        assert [m.get("step_metric") for m in written.metrics if m.get("glob_name") == "*"] == ["t"]
        assert written.closed


def test_run_that_goes_on_is_one_run_everywhere(tiny, tmp_path, nobody):  # noqa: F811
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for budget in (5, 12, 10**6):
        # Rows beyond a checkpoint are observed again: the budget ends between two observations.
        [stored] = run(build(tiny("alpha.value=1", *FILES, f"{SECOND}={budget}")))
    nobody()
    [[written]] = offline_runs(tmp_path / "results").values()
    agree(written.rows, stored)
    assert written.summary["outcome"] == "converged"
    path = tmp_path / "results" / "tracking" / f"{stored.run_id}.jsonl"
    head, *rows, tail = [json.loads(line) for line in path.read_text().splitlines()]
    assert head == {"run_id": stored.run_id, **stored.columns}
    assert rows == [{"step": step, **row} for step, row in enumerate(stored.rows)]
    assert tail == {"summary": stored.summary}
    events = reader.EventAccumulator(str(tmp_path / "results" / "tensorboard" / stored.run_id))
    events.Reload()
    for name in stored.history:
        scalars = [(event.step, event.value) for event in events.Scalars(name)]
        # TensorBoard keeps single precision: 2⁻²⁴ of rounding.
        known = [(step, pytest.approx(row[name], rel=6e-8)) for step, row in enumerate(stored.rows) if name in row]
        assert scalars == known, name


def test_lines_of_json_are_json(tiny, tmp_path):
    """Which has no NaN and no infinity, at any depth: null stands for them."""
    [cell] = cells(tiny())
    lines = JsonLines(tmp_path)
    lines.start(cell, [{"t": 0.0, "a": math.nan}])
    lines.log(cell, 1, {"t": 1.0, "a": math.inf})
    lines.finish(cell, {"a": math.nan, "parts": {"b": [1.0, -math.inf]}, "outcome": "non_finite"})
    text = (tmp_path / f"{cell.run_id}.jsonl").read_text()
    _, *rows, tail = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert [row["a"] for row in rows] == [None, None]
    assert tail == {"summary": {"a": None, "parts": {"b": [1.0, None]}, "outcome": "non_finite"}}


def test_tracking_changes_neither_ids_nor_results(tiny, tmp_path, nobody):  # noqa: F811
    def contents(*options):
        folder = tmp_path / str(len(options))
        found = run(build(tiny(*QUICK, *options, f"output_dir={folder}")))
        return [(one.run_id, one.summary, *((one.path / n).read_bytes() for n in (HISTORY, OUTPUTS))) for one in found]

    assert contents(*FILES) == contents()


def test_own_tracker_is_told_everything(tiny, calls):
    own = ("tracking=custom", "tracking.target=tests.runs.trackers.Recorder", "tracking.kwargs={name: mine}")
    [stored] = run(build(tiny(*QUICK, *own)))
    rows = [("mine", "log", stored.run_id, step, row) for step, row in enumerate(stored.rows)]
    begin, end = ("mine", "start", stored.run_id, 0), ("mine", "finish", stored.run_id, stored.summary)
    assert calls == [begin, *rows, end]


def test_own_tracker_among_several(tiny, calls):
    several = ("tracking=several", "tracking.sinks=[custom]", "tracking.custom.target=tests.runs.trackers.Recorder")
    run(build(tiny(*QUICK, *several, "tracking.custom.kwargs={name: two}")))
    assert {name for name, *_ in calls} == {"two"}


def test_tracker_that_cannot_be_made_fails_no_run(tiny, caplog):
    run(build(tiny(*QUICK, "tracking=custom", "tracking.target=tests.runs.trackers.Unmakeable")))
    [message] = said(caplog)
    assert message.startswith("Tracking by custom stopped, training goes on: ")
    assert "no such laboratory" in message


@pytest.mark.parametrize("moment", ["start", "log", "finish"])
def test_failing_tracker_fails_no_run(tiny, tmp_path, caplog, calls, moment):
    class Failing(Recorder):
        pass

    def fail(self, *arguments):
        raise OSError("disk full")

    setattr(Failing, moment, fail)
    [plain] = run(build(tiny(*QUICK, f"output_dir={tmp_path / 'plain'}")))
    experiment = build(tiny(*QUICK))
    object.__setattr__(experiment, "tracker", Trackers({"one": Failing, "other": Recorder}))
    with caplog.at_level(logging.WARNING):
        [stored] = run(experiment)
    assert stored.summary == plain.summary
    assert (stored.path / HISTORY).read_bytes() == (plain.path / HISTORY).read_bytes()
    assert caplog.messages == ["Tracking by one stopped, training goes on: OSError: disk full"]
    # The other one has had everything, and the failed one is closed: a second failure is not told.
    other = [call for call in calls if call[1] == "finish"]
    assert len(other) == (1 if moment == "finish" else 2)


def test_hanging_tracker_delays_the_end_by_its_patience_only(tiny, caplog, calls, monkeypatch):
    monkeypatch.setattr(run_module, "PATIENCE", 0.3)
    [stored] = run(build(tiny(*QUICK, "tracking=custom", "tracking.target=tests.runs.trackers.Hanging")))
    assert stored.done  # it would hang for ever
    assert said(caplog) == ["Tracking by custom has not ended after 0.3 s, and is left behind; runs are stored."]
    assert any(thread.name == "tracking" for thread in threading.enumerate())


def test_calls_return_at_once(tiny, calls):
    [cell] = cells(tiny())
    tracker = Trackers({"slow": trackers.Hanging})
    tracker.start(cell, [])
    for step in range(1000):
        tracker.log(cell, step, {"t": float(step)})
    assert tracker.thread.is_alive()  # waiting once for a hanging tracker would take for ever
    tracker.close(0.01)


def test_without_tracking_there_is_no_thread(tiny):
    experiment = build(tiny(*QUICK))
    run(experiment)
    assert experiment.tracker.thread is None
    assert not build(tiny("tracking=wandb", "tracking.mode=disabled")).tracker.guarded


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("tracking=wandb", "tracking.mode=onlin"), "tracking.mode=onlin: must be one of offline, online, disabled"),
        (("tracking=wandb", "tracking.ensemble=median"), "tracking.ensemble=median: must be one of members, mean"),
        (("tracking=several", "tracking.sinks=[wandb,mlflow]"), "tracking.sinks=mlflow: must be one of wandb, jsonl"),
        (("tracking=custom",), "tracking.target: a target of your own is needed"),
        (("tracking=custom", "tracking.target=nowhere.Tracker"), "there is no module 'nowhere'"),
        (("tracking=several", "tracking.sinks=[custom]"), "tracking.custom.target: a target of your own is needed"),
    ],
)
def test_bad_keys_are_refused_in_a_sentence(configure, overrides, sentence):
    with pytest.raises(ConfigError) as caught:
        validate(configure(*overrides))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("sink", "module"), [("tensorboard", "torch.utils.tensorboard"), ("trackio", "trackio")])
def test_sink_that_is_not_installed_says_how_to_install_it(tiny, caplog, monkeypatch, sink, module):
    monkeypatch.setitem(sys.modules, module, None)
    [stored] = run(build(tiny(*QUICK, f"tracking={sink}")))
    assert stored.done
    assert said(caplog) == [
        f"Tracking by {sink} stopped, training goes on: ImportError: install it with: pip install {sink}"
    ]


def test_trackio_is_told_what_is_stored(tiny, monkeypatch):
    """By a double with the signatures of Trackio 0.43: the package does not install beside newer versions of pillow."""

    class Run:
        def __init__(self, project, name, config, **options):
            self.project, self.name, self.config, self.rows, self.finished = project, name, dict(config), [], False
            assert options == {"group": "results", "embed": False, "auto_log_gpu": False, "auto_log_cpu": False}
            database.append(self)

        def log(self, metrics, step):
            self.rows.append((step, metrics))

        def finish(self):
            self.finished = True

        def delete(self):
            database.remove(self)

    database = []

    def runs(project):
        if not database:
            raise ValueError(f"Project {project!r} does not exist")
        return [one for one in database if one.project == project]

    api = types.SimpleNamespace(runs=runs)
    monkeypatch.setitem(sys.modules, "trackio", types.SimpleNamespace(Api=lambda: api, init=Run))
    run(build(tiny("alpha.value=1", "tracking=trackio", f"{SECOND}=9")))
    stored = [run(build(tiny("alpha.value=1", "tracking=trackio", f"seed.value={seed}")))[0] for seed in (1, 0)]
    for one, shown in zip(stored, database, strict=True):
        assert (shown.project, shown.name, shown.finished) == ("feature_lazy", one.run_id, True)
        assert shown.rows == list(enumerate(one.rows))
        label = f"√hα=1 h=8 seed={one.columns['seed']}"
        assert shown.config == {**one.columns, "label": label, "summary": one.summary}


def test_sync_is_a_command(capsys):
    with pytest.raises(SystemExit):
        main(["sync", "--help"])
    assert "Weights & Biases" in capsys.readouterr().out
