"""Laws on the terminal: those measured in a table, the others by what they need."""

import io
import math
import shlex

import pandas as pd
import pytest
from rich.console import Console

from analysis.__main__ import main
from feature_lazy.core.words import counted
from feature_lazy.runs.survey import Entry, RunState, Survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.study import end
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.laws import CONTRASTS, laws
from feature_lazy.study.terminal import grids, law_table, show, undecided
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, Reading, unmeasured
from tests.study.conftest import sweep
from tests.study.stored_sweeps import plant

TITLES = ("Feature training", "Boundary", "Lazy training", "Which tests better")


@pytest.fixture(scope="module")
def planted():
    return sweep(seeds=5, fall=0.5)


def test_table_on_the_terminal_has_the_verdicts(planted):
    found = laws(planted)
    shown = law_table(found)
    assert [column.header for column in shown.columns] == ["law", "where", "expected", "measured", "verdict"]
    assert set(shown.columns[4].cells) == {AGREES, CANNOT_TELL}
    assert unmeasured(found) == []


def test_what_a_sweep_cannot_show_is_one_sentence_for_each_thing_that_it_lacks(planted):
    found = laws(planted[planted["h"] == 30])
    rows = list(law_table(found).columns[0].cells)
    said = unmeasured(found)
    assert "Needs a kernel change through 1 at two widths: α* against h." in said
    assert len(said) == len(set(said)) < len(found) - len(rows)
    for law in found:
        assert (law.name in rows) == (not any(law.name in sentence for sentence in said)), law.name


@pytest.mark.parametrize(("columns", "shown"), [("119", False), ("120", True)])
def test_a_narrow_terminal_leaves_out_where_a_law_stands(tmp_path, capsys, monkeypatch, columns, shown):
    monkeypatch.setenv("COLUMNS", columns)
    main(["laws", str(plant(tmp_path, seeds=2))])
    assert ("Fig. 5a" in capsys.readouterr().out) == shown


def test_laws_of_every_kind_of_run_in_a_folder(tmp_path, capsys, monkeypatch):
    """What ``figures`` refuses to show together, ``laws`` judges apart, and then the difference."""
    monkeypatch.setenv("COLUMNS", "300")
    for bias in (0.0, 0.1):
        plant(tmp_path, config={"architecture": {"kind": "fully_connected", "bias": bias}}, rng=int(10 * bias))
    main(["laws", str(tmp_path)])
    kinds, judged = capsys.readouterr().out.split(CONTRASTS)
    assert kinds.count("kernel change, lazy exponent") == 2
    assert "architecture.bias = 0.0" in kinds
    assert "architecture.bias = 0.1" in kinds
    assert judged.count("test/error: bias 0.1") == 1
    assert "within the scatter of seeds" in judged


def test_laws_of_one_kind_of_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    main(["laws", str(plant(tmp_path))])
    printed = capsys.readouterr().out
    assert "arXiv:1906.08034" in printed
    assert "What ought not to matter" not in printed


def test_what_is_decided_comes_first_and_the_rest_is_a_line(planted, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = laws(planted)
    open_ = [row for row in found if row.verdict == CANNOT_TELL]
    show(planted)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    starts = [shown.index(f"{title}: ") for title in TITLES]
    assert starts == sorted(starts)
    assert starts[-1] < shown.index("Mean over 5 seeds") < shown.index("Laws") < shown.index("cannot be told")
    assert CANNOT_TELL not in shown
    assert undecided(found).startswith(f"{counted(len(open_), 'law')} cannot be told (--all shows them): ")
    assert undecided([row for row in found if row.verdict == AGREES]) == ""
    show(planted, everything=True)
    assert shown_rows(capsys.readouterr().out) == len([row for row in found if row.estimate is not None])


def shown_rows(text):
    return text.count(AGREES) + text.count(CANNOT_TELL)


def test_undecided_laws_are_counted_by_what_they_need():
    def row(measured, estimate=None):
        return Reading("0", measured, CANNOT_TELL, estimate)

    wide, lone = Estimate(1.0, 9.0, 3), Estimate(1.0, math.nan, 1)
    found = [row("", wide), row("", wide), row("", lone), row("needs two widths")]
    assert undecided(found) == (
        "4 laws cannot be told (--all shows them): 2 need smaller error bars; 1 needs more seeds."
    )


@pytest.mark.parametrize(("width", "tables"), [(80, [3, 3, 1]), (200, [7])])
def test_many_widths_are_several_tables(width, tables):
    many = pd.concat([sweep(seeds=1).assign(h=h) for h in range(10, 17)])
    made = list(grids(many, width))
    assert [(len(one.columns) - 1) // 2 for one in made] == tables
    assert [c.header for one in made for c in one.columns if c.header.startswith("h")] == [
        f"h = {h}" for h in range(10, 17)
    ]
    for one in made:
        assert max(map(len, _lines(one, width))) <= width


def _lines(table, width):
    out = Console(width=width, record=True, file=io.StringIO())
    out.print(table)
    text = out.export_text()
    assert "…" not in text
    return text.splitlines()


@pytest.mark.parametrize(
    ("states", "commands"),
    [
        ((RunState.DONE, RunState.DONE), ["figures DIR", "report DIR"]),
        ((RunState.DONE, RunState.QUEUED), ["status DIR --watch", "cancel DIR"]),
        ((RunState.DONE, RunState.RUNNING), ["status DIR --watch"]),
        ((RunState.FAILED, RunState.QUEUED), ["status DIR", "retry DIR"]),
    ],
)
def test_end_of_a_sweep(states, commands, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "a sweep"
    (folder / "wandb").mkdir(parents=True)
    if RunState.QUEUED in states:
        (folder / "slurm").mkdir()
    notes = {
        RunState.DONE: "converged",
        RunState.FAILED: "StoreError: a long reason " * 9,
        RunState.QUEUED: "",
        RunState.RUNNING: "",
    }
    entries = [Entry(str(i), state, {}, note=notes[state]) for i, state in enumerate(states)]
    monkeypatch.setattr(end, "survey", lambda root: Survey(root, entries, []))
    monkeypatch.setenv("COLUMNS", "80")
    end.show_end(folder, 3723.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder}: 2 runs, 1h02m"
    where = shlex.quote(str(folder))
    # Whole, so that they can be pasted.
    start = lines.index(f"Next: feature-lazy {commands[0].replace('DIR', where)}")
    more = [f"      feature-lazy {command.replace('DIR', where)}" for command in commands[1:]]
    *said, last = lines[start + 1 :]
    assert said == more
    assert last.startswith(f"      wandb leet {shlex.quote(str(folder / 'wandb'))}  #")
    assert max(map(len, lines[1:start])) <= 80
    for state in set(states):
        assert any(line.split()[:2] == [state, str(states.count(state))] for line in lines[1:start])


def test_the_end_of_one_job(tmp_path, capsys):
    """Of an ensemble in the mean, and the folder's commands; without a run of its own, where to look."""
    folder = tmp_path / "a job"
    plant(folder, xs=(1.0,), widths=(30,), seeds=2)
    runs = load_sweep(folder).runs
    end.show_job_end(folder, [run.run_id for run in runs])
    error = sum(run.summary["test/error"] for run in runs) / 2
    assert capsys.readouterr().out.splitlines() == [
        f"2 converged at t = 33, test error {100 * error:.1f} % in the mean",
        f"Next: feature-lazy show '{runs[0].path}'",
        f"      feature-lazy report '{folder}'",
    ]
    end.show_job_end(folder, [])
    assert capsys.readouterr().out == f"Next: feature-lazy status '{folder}'\n"
