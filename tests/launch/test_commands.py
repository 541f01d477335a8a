"""The command ``feature-lazy`` on folders in every state, from the files alone."""

import json
import shutil

import pandas as pd
import pytest

from feature_lazy.launch.commands import main, status
from feature_lazy.runs.batch import build
from feature_lazy.runs.failures import record
from feature_lazy.runs.history import History
from feature_lazy.runs.plan import read_plans, write_plan
from feature_lazy.runs.reading import ERROR, HISTORY, MANIFEST
from feature_lazy.runs.store import Store
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.runs.train import run
from feature_lazy.settings import cells as cells_module
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK, TINY, composed

SEEDS = ("seed=ensemble", "seed.members=7")


def states(root):
    return {entry.columns.get("seed"): entry.state for entry in survey(root).entries}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Seeds 0, 1 and 6 done, and 2 stopped by a budget."""
    root = tmp_path_factory.mktemp("trained")
    for more in ([*SEEDS[:1], "seed.members=2"], ["seed.value=2", "dynamics.max_steps=9"], ["seed.value=6"]):
        run(build(composed(*TINY, *QUICK, *more, f"output_dir={root}")))
    return root


@pytest.fixture
def folder(trained, tiny, tmp_path):
    """Seven seeds: 0 and 1 done, 2 stopped by a budget, 3 failed, 4 interrupted, 5 queued, 6 damaged."""
    root = shutil.copytree(trained, tmp_path / "results")
    config = tiny(*QUICK, *SEEDS)
    write_plan(root, [config])
    wanted = cells(config)
    store = Store(root)
    record(store, [wanted[3]], "ValueError: no luck \x1b[31m", "Traceback …")
    with store.claim([wanted[4].run_id]) as claims:
        claims.runs[wanted[4].run_id].begin({**wanted[4].description, "provenance": {}}, History())
    (store.path(wanted[6].run_id) / MANIFEST).write_text("{")
    return root


def test_states(folder):
    assert states(folder) == {
        0: RunState.DONE,
        1: RunState.DONE,
        2: RunState.STOPPED,
        3: RunState.FAILED,
        4: RunState.INTERRUPTED,
        5: RunState.QUEUED,
        6: RunState.DAMAGED,
    }


def test_status_shows_states_and_reasons(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["status", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "7 runs" in shown
    for text in ("✓ 2 done", "✗ 1 failed", "↯ 1 interrupted", "· 1 queued", "‖ 1 stopped", "! 1 damaged"):
        assert text in shown
    assert "1 failed: ValueError: no luck" in shown
    assert "\x1b[31m" not in shown  # a stored text commands no terminal
    assert "max_steps" in shown


def test_status_watches_until_nothing_is_left(folder, monkeypatch, capsys):
    looks = []

    def pause(seconds):
        looks.append(seconds)
        if len(looks) == 2:  # the queued run is not wanted any more
            main(["clean", str(folder), "--state", "queued", "--yes"])

    monkeypatch.setattr(status.time, "sleep", pause)
    assert main(["status", str(folder), "--watch"]) == 1
    assert looks == [status.REFRESH] * 2


def test_a_command_that_is_stopped_says_so(folder, monkeypatch, capsys):
    def stopped(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(status, "call", stopped)
    assert main(["status", str(folder)]) == 130
    assert capsys.readouterr().err.startswith("Stopped. What is done is stored")


def test_status_for_programs(folder, capsys):
    main(["status", str(folder), "--json", "--where", "seed=0,3"])
    found = json.loads(capsys.readouterr().out)
    assert {run["columns"]["seed"]: run["state"] for run in found["runs"]} == {0: "done", 3: "failed"}
    assert found["counts"]["done"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["status", "nowhere"], "There are no runs in nowhere"),
        (["retry", "FOLDER", "--state", "lost"], "the states are done, running"),
        (["retry", "FOLDER", "--where", "width=3"], "no run has the column 'width'; there are L, P"),
        (["retry", "FOLDER", "--where", "h"], "write COLUMN=VALUES"),
        (["retry", "FOLDER", "--where", "seed=9"], "--where seed=9: no run has it; there are seed = "),
        (["export", "FOLDER", "runs.xls"], "must end in .parquet or .csv"),
    ],
)
def test_bad_input_is_one_sentence(folder, capsys, arguments, sentence):
    assert main([str(folder) if a == "FOLDER" else a for a in arguments]) == 1
    assert sentence in capsys.readouterr().err


def test_retry_trains_what_is_named_and_nothing_else(folder, capsys):
    before = {p: p.stat().st_mtime_ns for s in (0, 1) for p in run_of(folder, s).iterdir()}
    assert main(["retry", str(folder), "--n-jobs", "1"]) == 0
    assert states(folder) | {3: RunState.DONE, 4: RunState.DONE} == states(folder)
    assert {state for seed, state in states(folder).items() if seed in (2, 5, 6)} == {
        RunState.STOPPED,
        RunState.QUEUED,
        RunState.DAMAGED,
    }
    assert not (run_of(folder, 3) / ERROR).exists()
    assert main(["retry", str(folder), "--state", "queued,stopped", "--where", "seed=5", "--n-jobs", "1"]) == 0
    assert states(folder)[5] is RunState.DONE
    assert {p: p.stat().st_mtime_ns for p in before} == before


def run_of(folder, seed):
    [entry] = [entry for entry in survey(folder).entries if entry.columns.get("seed") == seed]
    return folder / "runs" / entry.run_id


def test_retry_without_a_plan_uses_what_the_run_says(folder, capsys):
    """A folder that says nothing keeps no other run from being trained."""
    shutil.rmtree(folder / "plans")
    (folder / "runs" / ("0" * 16)).mkdir()
    assert main(["retry", str(folder), "--n-jobs", "1", "--state", "interrupted"]) == 0
    assert states(folder)[4] is RunState.DONE
    assert f"{'0' * 16} does not say how it was trained, and is left alone\n" in capsys.readouterr().err


def test_clean_shows_first_and_then_removes(folder, capsys):
    leftover = run_of(folder, 4) / f".{HISTORY}.{'0' * 32}"
    leftover.write_text("")
    everything = ["clean", str(folder), "--state", "damaged,failed,queued"]
    assert main(everything) == 0
    assert "1 leftover, 2 runs and 1 queued run would be removed" in capsys.readouterr().out
    assert leftover.exists()
    assert main([*everything, "--yes"]) == 0
    # Failed and damaged runs are queued again: somebody asked for them.
    assert states(folder) == {
        0: RunState.DONE,
        1: RunState.DONE,
        2: RunState.STOPPED,
        3: RunState.QUEUED,
        4: RunState.INTERRUPTED,
        6: RunState.QUEUED,
    }
    assert not leftover.exists()


def test_clean_leaves_a_running_run_alone(folder, store):
    run_id = run_of(folder, 4).name
    with Store(folder).claim([run_id]):
        assert main(["clean", str(folder), "--state", "running,interrupted", "--yes"]) == 0
    assert states(folder)[4] is RunState.INTERRUPTED


def test_verify_names_every_damaged_file(folder, capsys):
    assert main(["verify", str(folder)]) == 1
    assert f"{run_of(folder, 6)}: {MANIFEST} cannot be read" in capsys.readouterr().err
    main(["clean", str(folder), "--state", "damaged", "--yes"])
    assert main(["verify", str(folder)]) == 0
    with (run_of(folder, 1) / HISTORY).open("ab") as file:
        file.write(b" ")
    assert main(["verify", str(folder)]) == 1
    assert f"{run_of(folder, 1)} is damaged: {HISTORY} does not match its checksum" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_export(folder, tmp_path, ending):
    main(["clean", str(folder), "--state", "damaged", "--yes"])
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    path = tmp_path / f"runs.{ending}"
    assert main(["export", str(folder), str(path)]) == 0
    sweep = load_sweep(folder)
    pd.testing.assert_frame_equal(read(path), sweep.table, check_dtype=False)
    assert main(["export", str(folder), str(path), "--histories"]) == 0
    table = read(path)
    for stored in sweep.runs:
        part = table[table["run_id"] == stored.run_id]
        assert part["kernel/change"].to_numpy() == pytest.approx(stored.history["kernel/change"], nan_ok=True)


def test_arrays_over_grid_and_time(tiny, tmp_path):
    for h in (4, 8):
        run(build(tiny(*QUICK, "seed=ensemble", "seed.members=2", f"width.h={h}", "observe.kernel.every=2")))
    sweep = load_sweep(tmp_path / "results")
    data = sweep.arrays(["test/error", "kernel/change"])
    assert data["test/error"].dims == ("h", "sqrt_h_alpha", "seed", "t")
    for stored in sweep.runs:
        history = stored.history
        where = {"h": stored.columns["h"], "sqrt_h_alpha": 10.0, "seed": stored.columns["seed"]}
        curve = data["test/error"].sel(where).dropna("t")
        assert curve["t"].values.tolist() == history["t"][:-1].tolist()
        assert curve.values.tolist() == history["test/error"][:-1].tolist()
    # One grid of times for all runs, and not one more for each run's end.
    assert data.sizes["t"] == max(len(stored.history["t"]) for stored in sweep.runs) - 1


def test_arrays_say_what_is_missing(folder):
    main(["clean", str(folder), "--state", "damaged", "--yes"])
    sweep = load_sweep(folder)
    with pytest.raises(Exception, match=r"No run in .* has the observable nonsense; there are kernel/alignment"):
        sweep.arrays(["nonsense"])
    with pytest.raises(Exception, match=r"have the same h, sqrt_h_alpha; name in dims another column"):
        sweep.arrays(["test/error"], dims=("h", "sqrt_h_alpha"))


def test_why_a_run_counts_as_new(tiny, tmp_path, monkeypatch, capsys):
    config = tiny(*QUICK)
    run(build(config))
    monkeypatch.setattr(cells_module, "SCIENCE_VERSION", cells_module.SCIENCE_VERSION + 1)
    write_plan(tmp_path / "results", [config])
    old, new = cells_module.SCIENCE_VERSION - 1, cells_module.SCIENCE_VERSION
    main(["status", str(tmp_path / "results")])
    assert f"1 queued: new: stored by science version {old}, and this is {new}" in capsys.readouterr().out


def test_why_a_run_counts_as_new_by_the_version_of_an_option(tiny, tmp_path, monkeypatch, capsys):
    config = tiny(*QUICK)
    run(build(config))
    before = type(config.loss).version
    monkeypatch.setattr(type(config.loss), "version", before + 1)
    write_plan(tmp_path / "results", [config])
    main(["status", str(tmp_path / "results")])
    told = f"1 queued: new: stored by version {before} of loss, and this is {before + 1}"
    assert told in " ".join(capsys.readouterr().out.split())


def test_damaged_plan_is_named_and_the_rest_is_read(folder, tiny, capsys):
    [plan] = (folder / "plans").iterdir()
    write_plan(folder, [tiny(*QUICK, "width.h=9")])
    whole = plan.read_bytes()
    for content in (b"", whole[:100], whole[:-1], whole.replace(b"digits", b"digitz"), b"[" * 10**5):
        plan.write_bytes(content)
        jobs, problems = read_plans(folder)
        assert len(jobs) == 1
        assert len(problems) == 1
        assert str(plan) in problems[0]
