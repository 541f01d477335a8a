"""The tracker of W&B without a training: what needs a failure at one place, or rows that no training has."""

import json
import os
import subprocess
import sys

import pytest

from feature_lazy.runs.tracking import wandb as sink
from feature_lazy.runs.tracking.wandb import Place, Wandb
from feature_lazy.settings.cells import cells
from tests.conftest import ROOT
from tests.processes import wait_for
from tests.runs.test_tracking import said
from tests.runs.test_wandb_online import online_run, server  # noqa: F401 - a fixture
from tests.runs.wandb_files import nobody, offline_runs  # noqa: F401 - a fixture
from tests.runs.wandb_server import KEY, Failure

ROWS = [{"t": float(t), "test/error": error} for t, error in enumerate((0.5, 0.1, 0.3))]
SUMMARY = {"outcome": "converged", "t": 2.0}


@pytest.fixture
def pair(tiny):
    return cells(tiny("seed=ensemble", "seed.members=2"))


def tracker(tmp_path, **options):
    return Wandb(tmp_path / "results", Place("feature_lazy"), **options)


def whole(tracker, cell, rows):
    """Show rows of a run, the last as they are observed."""
    for step, row in enumerate(rows, len(ROWS) - len(rows)):
        tracker.log(cell, step, row)
    tracker.finish(cell, SUMMARY)


def test_smallest_error_is_that_of_all_rows(pair, tmp_path, server):  # noqa: F811
    first = tracker(tmp_path, online=True)
    first.start(pair[0], [])
    first.log(pair[0], 0, ROWS[0])
    first.log(pair[0], 1, ROWS[1])
    first.finish(pair[0], SUMMARY)
    second = tracker(tmp_path, online=True)
    second.start(pair[0], ROWS[:2])
    whole(second, pair[0], ROWS[2:])
    shown = online_run(server, pair[0])
    assert [row["test/error"] for row in shown.history] == [0.5, 0.1, 0.3]
    assert shown.summary["test/error_min"] == 0.1


@pytest.mark.parametrize(("outcome", "status"), [("converged", 0), ("max_steps", 0), ("interrupted", 1)])
def test_a_run_that_was_interrupted_is_not_called_finished(pair, tmp_path, server, outcome, status):  # noqa: F811
    one = tracker(tmp_path, online=True)
    one.start(pair[0], ROWS)
    one.finish(pair[0], {**SUMMARY, "outcome": outcome})
    assert online_run(server, pair[0]).exitcode == status


def test_label_of_a_run_that_goes_on_is_the_present_one(pair, tmp_path, server):  # noqa: F811
    for _ in range(2):
        one = tracker(tmp_path, online=True)
        one.start(pair[0], ROWS)
        one.finish(pair[0], SUMMARY)
        shown = online_run(server, pair[0]).config["label"]
        assert shown["value"] == "√hα=1 h=8 seed=0"
        shown["value"] = "of an earlier version"


def test_folder_that_is_linked_is_left_alone(pair, tmp_path, nobody):  # noqa: F811
    run_id = pair[0].run_id
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "results" / "wandb" / f"offline-run-20000101_000000-{run_id}"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    one = tracker(tmp_path)
    one.start(pair[0], [])
    whole(one, pair[0], ROWS)
    nobody()
    assert link.is_symlink()
    assert len(offline_runs(tmp_path / "results")[run_id]) == 1


def failing(monkeypatch, function, *errors):
    """Let a function of W&B raise errors, one at each call, before it does what it does."""
    import wandb

    real, left = getattr(wandb, function), list(errors)

    def fail(*arguments, **options):
        if left:
            raise left.pop(0)
        return real(*arguments, **options)

    monkeypatch.setattr(wandb, function, fail)


@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
@pytest.mark.parametrize("error", ["OSError", "CommError"])
def test_run_that_does_not_begin_leaves_the_open_one_alone(pair, tmp_path, server, nobody, monkeypatch, online, error):  # noqa: F811
    import wandb

    one, other = pair
    both = tracker(tmp_path, online=online)
    both.start(one, [])
    raised = {"OSError": OSError, "CommError": wandb.errors.CommError}[error]
    failing(monkeypatch, "init", raised("no"))
    with pytest.raises(raised):
        both.start(other, [])
    whole(both, one, ROWS)
    both.finish(other, SUMMARY)
    if online:
        assert len(online_run(server, one).history) == len(ROWS)
        assert both.online
    else:
        nobody()
        [[written]] = offline_runs(tmp_path / "results").values()
        assert (len(written.rows), written.closed) == (len(ROWS), True)


@pytest.mark.parametrize("end", [ConnectionResetError("lost"), SystemExit(1)], ids=["error", "exit"])
def test_process_that_has_crashed_is_replaced_however_it_ends(pair, tmp_path, nobody, monkeypatch, end):  # noqa: F811
    failing(monkeypatch, "init", RuntimeError("closed"))
    failing(monkeypatch, "teardown", end)
    one = tracker(tmp_path)
    one.start(pair[0], [])
    whole(one, pair[0], ROWS)
    nobody()
    [[written]] = offline_runs(tmp_path / "results").values()
    assert len(written.rows) == len(ROWS)


def test_run_is_closed_though_its_summary_is_refused(pair, tmp_path, nobody, monkeypatch):  # noqa: F811
    one, closed = tracker(tmp_path), []
    one.start(pair[0], ROWS)
    monkeypatch.setattr(one.runs[pair[0].run_id], "finish", lambda **_: closed.append(True))
    with pytest.raises(TypeError):
        one.finish(pair[0], {3: object(), **SUMMARY})
    assert closed == [True]


def test_button_that_stops_a_run_stops_nothing(pair, tmp_path, server, monkeypatch):  # noqa: F811
    stopping = pytest.importorskip("wandb.sdk.lib.run_stopping")
    # W&B asks every 15 s.
    monkeypatch.setitem(stopping.RunStopChecker.__init__.__kwdefaults__, "poll_interval", 0.05)
    pressed = []
    monkeypatch.setattr(sink, "_go_on", lambda: pressed.append(True))
    server.stopped = True
    one = tracker(tmp_path, online=True)
    try:
        one.start(pair[0], ROWS)
        wait_for(lambda: pressed)
        one.finish(pair[0], SUMMARY)
    except KeyboardInterrupt:  # which would end all tests
        pytest.fail("W&B has interrupted the process")
    assert len(online_run(server, pair[0]).history) == len(ROWS)


def test_refusal_that_repeats_the_key_hides_it(pair, tmp_path, server, caplog):  # noqa: F811
    server.failure = {"UpsertBucket": Failure(403, message=f"permission denied for {KEY}")}
    one = tracker(tmp_path, online=True)
    one.start(pair[0], [])
    whole(one, pair[0], ROWS)
    [message] = said(caplog)
    assert message.endswith("(CommError: permission denied for ***)")


def test_offline_run_says_nothing(pair, tmp_path, nobody, capfd):  # noqa: F811
    one = tracker(tmp_path)
    one.start(pair[0], [])
    whole(one, pair[0], ROWS)
    nobody()
    assert offline_runs(tmp_path / "results")
    assert capfd.readouterr() == ("", "")


STARTED = """
import sys
from pathlib import Path
from feature_lazy.runs.tracking.wandb import Place, Wandb
from feature_lazy.settings.cells import cells
from feature_lazy.settings.overrides import composed

[cell] = cells(composed([]))
tracker = Wandb(Path(sys.argv[1]), Place("feature_lazy"))
tracker.start(cell, [])
tracker.log(cell, 0, {"t": 0.0})
tracker.finish(cell, {"outcome": "converged", "t": 0.0})
print([name for name in ("wandb.sdk.launch", "opentelemetry.sdk", "torch") if name in sys.modules])
"""
"""A run of W&B in a process of its own."""


def test_an_offline_run_imports_no_queue_and_nothing_that_sends(tmp_path):
    """The interface to W&B's queue takes as long as the rest of W&B, what measures W&B itself would send that."""
    command = [sys.executable, "-c", STARTED, str(tmp_path / "results")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= {"HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert offline_runs(tmp_path / "results")


def test_what_is_staged_for_a_job_of_the_queue_is_looked_for(monkeypatch):
    looked = []

    class Run:
        def _detect_and_apply_job_inputs(self):
            looked.append(self)

    for _ in range(2):  # as by two trackers
        sink._look_for_staged_inputs_if_any(Run)
    monkeypatch.setitem(sys.modules, "wandb.sdk.launch", None)
    monkeypatch.delitem(sys.modules, "wandb.sdk.launch")
    Run()._detect_and_apply_job_inputs()
    assert not looked
    monkeypatch.setitem(sys.modules, "wandb.sdk.launch", object())
    Run()._detect_and_apply_job_inputs()
    assert len(looked) == 1


@pytest.mark.parametrize("given", ["HOME", "XDG_CACHE_HOME", "WANDB_CACHE_DIR"])
def test_so_does_one_whose_logs_have_no_place(given, pair, tmp_path, nobody, monkeypatch, capfd):  # noqa: F811
    """W&B's own process would log to the terminal."""
    for name in ("XDG_CACHE_HOME", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # what the test sets is undone, what is set by the way too
        monkeypatch.delenv(name)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(given, str(tmp_path / "file"))
    test_offline_run_says_nothing(pair, tmp_path, nobody, capfd)


def test_code_git_and_packages_are_not_recorded(pair, tmp_path, server, nobody, monkeypatch):  # noqa: F811
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    author = ("-c", "user.name=n", "-c", "user.email=e")
    for command in (["init", "-q"], ["remote", "add", "origin", "https://example.invalid/secret"]):
        subprocess.run(["git", *command], check=True)
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "m"], check=True)
    one = tracker(tmp_path, online=True)
    one.start(pair[0], [])
    print("said by the training")
    whole(one, pair[0], ROWS)
    nobody()
    [run] = (tmp_path / "results" / "wandb").glob("run-*")
    files = {path.relative_to(run / "files").as_posix() for path in (run / "files").rglob("*") if path.is_file()}
    assert files == {"config.yaml", "wandb-metadata.json", "wandb-summary.json"}
    metadata = json.loads((run / "files" / "wandb-metadata.json").read_text())
    assert not {"git", "codePath", "gpu", "cpu_count", "memory"} & metadata.keys()
    assert online_run(server, pair[0]).about.get("commit") is None
