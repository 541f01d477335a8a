"""What is seen of a sweep while it runs: lines that a log keeps, and on a terminal none that is wider than it."""

import io
import json
import re
import time
from dataclasses import asdict, replace

from rich.console import Console, Group

from feature_lazy.launch import sweep_display
from feature_lazy.launch.sweep_display import SweepDisplay
from feature_lazy.runs.progress import BatchProgress, Snapshot, SnapshotFile, read_snapshots
from feature_lazy.settings.cells import Cell

LONG = Snapshot("h=1000 √hα=1e-05 seeds 100…119", 1.234e-100, 1.2e-10, 0.1234, 17, 20, 7512.0, 98765.0, ("4", "5", "6"))


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sweep_display, "PLAIN", 0.01)
    display = SweepDisplay([*"0123456789"], [*"0123"], {"job": [*"456"]})
    (tmp_path / "1.json").write_text(json.dumps(asdict(LONG)))
    said, end = "", time.monotonic() + 60
    with display.watch(tmp_path):
        while said.count("4/10 runs") < 2 and time.monotonic() < end:
            time.sleep(0.01)
            said += capsys.readouterr().out.replace("7/10", "4/10")
    assert said.count("4/10 runs") >= 2  # three of the job's members are done, and four were before
    assert all(len(line) <= 80 for line in said.splitlines())
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().out == ""


def test_lines_are_cut_where_a_terminal_ends(tmp_path):
    (tmp_path / "1.json").write_text(json.dumps(asdict(LONG)))
    out = Console(width=80, record=True, file=io.StringIO())
    runs = [str(number) for number in range(100_000)]
    out.print(Group(SweepDisplay(runs, runs[1000:], {})._text([tmp_path])))  # as a live display renders it
    head, line = out.export_text().splitlines()
    assert "99003/100000 runs" in head
    assert len(head) <= 80
    assert line.startswith("  h=1000")
    assert len(line) <= 80


def counted(display, folder):
    """How many runs have ended, as the display says now."""
    return int(re.search(r" (\d+)/\d+ runs", str(display._text([folder])))[1])


def test_a_run_that_has_ended_stays_so(tmp_path):
    """In every order of batch, snapshot, job and look: an ensemble, tried again one by one, and a process that dies."""
    cells = [Cell(run_id, [], 0, {}, {"sqrt_h_alpha": 1.0, "h": 8}, {}) for run_id in "abc"]
    display = SweepDisplay([*"abcd"], [], {"job": [*"abc"]})

    def batch(*members):
        sink = SnapshotFile(tmp_path / "1.json")
        progress = BatchProgress("batch", members, 10, [sink])
        for cell in members:
            progress.observed(cell, {"t": 0.0, "train/loss": 1.0, "test/error": 0.5, "train/unfit": 10})
        return progress

    together = batch(*cells)
    assert counted(display, tmp_path) == 0
    together.finished(cells[0], {"outcome": "converged", "t": 1.0, "steps": 3})
    assert counted(display, tmp_path) == 1
    together.close()  # an error: its members are trained one by one, and the first is known to be done
    assert counted(display, tmp_path) == 1
    rest = batch(*cells[1:])
    rest.finished(cells[1], {"outcome": "interrupted", "t": 1.0, "steps": 3})  # and goes on
    assert counted(display, tmp_path) == 1
    rest.close()
    alone = batch(cells[1])
    alone.finished(cells[1], {"outcome": "max_steps", "t": 1.0, "steps": 3})  # and is closed, before its job is over
    assert not list(tmp_path.iterdir())
    assert counted(display, tmp_path) == 1  # nobody looked in between
    (tmp_path / "1.json").write_text(json.dumps(asdict(replace(LONG, ended=("b", "elsewhere")))))
    assert counted(display, tmp_path) == 2
    display.finished("job")
    assert counted(display, tmp_path) == 3  # what a process that died has left counts no second time


def test_no_error_is_shown_where_the_predictor_is_zero(tmp_path):
    """At t = 0, where every pattern counts as wrong."""
    cells = [Cell(run_id, [], 0, {}, {}, {}) for run_id in "ab"]
    progress = BatchProgress("batch", cells, 10, [SnapshotFile(tmp_path / "1.json")])
    shown = []
    for cell, t, error in ((cells[0], 0.0, 1.0), (cells[1], 0.0, 1.0), (cells[0], 0.1, 0.25)):
        progress.observed(cell, {"t": t, "train/loss": 1.0, "test/error": error, "train/unfit": 10})
        [snapshot] = read_snapshots(tmp_path)
        shown.append(snapshot.line().partition("error=")[2].split()[0])
    assert shown == ["–", "–", "25.0%"]
