"""What is seen of a sweep while it runs: lines that a log keeps, and on a terminal none that is wider than it."""

import io
import json
import time
from dataclasses import asdict

from rich.console import Console, Group

from feature_lazy.launch import sweep_display
from feature_lazy.launch.sweep_display import SweepDisplay
from feature_lazy.runs.progress import Snapshot

LONG = Snapshot("h=1000 √hα=1e-05 seeds 100…119", 1.234e-100, 1.2e-10, 0.1234, 17, 20, 7512.0, 98765.0)


def test_without_a_terminal_there_is_a_line_now_and_then(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sweep_display, "PLAIN", 0.01)
    display = SweepDisplay(10, 4, {"job": 3})
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
    out.print(Group(SweepDisplay(100_000, 99_000, {})._text([tmp_path])))  # as a live display renders it
    head, line = out.export_text().splitlines()
    assert "99003/100000 runs" in head
    assert len(head) <= 80
    assert line.startswith("  h=1000")
    assert len(line) <= 80
