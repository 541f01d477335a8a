"""Stored runs: written in full or not at all, loaded as they were saved, named when they are damaged."""

import json
import math
import os
import re
import shutil

import numpy as np
import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.runs import reading
from feature_lazy.runs.history import History
from feature_lazy.runs.reading import DONE, HISTORY, MANIFEST, OUTPUTS, DamagedRunError, load_run
from feature_lazy.runs.store import Store, checkpoint
from feature_lazy.runs.sweep import load_sweep
from tests.conftest import ROOT
from tests.runs.conftest import ALONE, ARRAYS, DESCRIPTION, HISTORY_ROWS, RUN, SUMMARY, assert_arrays_as_saved, save


def test_round_trip(store):
    run = load_run(save(store))
    assert run.done
    assert run.run_id == RUN
    assert (run.config, run.columns) == (DESCRIPTION["config"], DESCRIPTION["columns"])
    assert run.provenance == {"wall_seconds": 1.5}
    assert run.summary == {**SUMMARY, "t_stop": None, "kernel/change": None}  # JSON has no NaN
    # NaN and infinities come back as NaN, as does what a row does not have; all else bit for bit.
    assert list(run.history) == ["t", "test/error", "kernel/change"]
    np.testing.assert_array_equal(run.history["t"], [0.0, 1 / 3])
    np.testing.assert_array_equal(run.history["test/error"], [math.nan, 0.125])
    np.testing.assert_array_equal(run.history["kernel/change"], [math.nan, math.nan])
    assert_arrays_as_saved(run.outputs)
    run.verify()


def test_files_are_plain(store):
    """A reader needs a JSON parser and safetensors, and no NaN that strict parsers refuse."""
    path = save(store)
    assert {file.name for file in path.iterdir()} == {MANIFEST, HISTORY, OUTPUTS, DONE}

    def refuse(constant):
        raise AssertionError(constant)

    json.loads((path / MANIFEST).read_text(), parse_constant=refuse)
    for line in (path / HISTORY).read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_history_can_be_read_while_a_run_is_trained(store):
    with store.claim([RUN]) as claims:
        run = claims.runs[RUN]
        run.begin(DESCRIPTION, History())
        for count, row in enumerate(HISTORY_ROWS, start=1):
            run.observe(row)
            with (run.path / HISTORY).open("ab") as file:
                file.write(b'{"t": 0.5, "tes')  # another process reads in the middle of a line
            assert load_run(run.path).history["t"].tolist() == [row["t"] for row in HISTORY_ROWS[:count]]
            os.truncate(run.path / HISTORY, len(run.history.data))
        assert not load_run(run.path).done
        assert load_run(run.path).summary == {}


def test_checkpoint_round_trip(store):
    run = load_run(save(store, done=False))
    assert not run.done
    assert not store.is_done(RUN)
    [(saved, history)] = store.checkpoints(RUN)
    assert [row["t"] for row in history.rows] == [0.0, 1 / 3]
    assert math.isnan(history.rows[0]["test/error"])
    assert (saved.moment.stamp, saved.moment.batch, saved.moment.alive) == ("moment", (RUN,), (RUN,))
    assert_arrays_as_saved(saved.arrays)


def test_rows_after_a_checkpoint_are_dropped_and_written_again(store):
    path = save(store, done=False, rows=HISTORY_ROWS[:1])
    whole = (path / HISTORY).read_bytes()
    for extra in (b'{"t": 0.2', b'{"t": 0.2}\n', b'{"t": 0.2}\n{"t": 0.3}\n'):
        (path / HISTORY).write_bytes(whole + extra)
        save(store, done=False, rows=HISTORY_ROWS[:1])
        assert (path / HISTORY).read_bytes() == whole
    assert load_run(save(store)).history["t"].tolist() == [0.0, 1 / 3]


def test_done_replaces_the_checkpoint(store):
    save(store, done=False)
    path = save(store)
    assert store.is_done(RUN)
    assert {file.name for file in path.iterdir()} == {MANIFEST, HISTORY, OUTPUTS, DONE}
    assert store.checkpoints(RUN) == []


def test_nothing_to_continue(store):
    assert store.checkpoints(RUN) == []


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(store):
    path = save(store, done=False, rows=HISTORY_ROWS[:1])
    with store.claim([RUN]) as claims:
        run = claims.runs[RUN]
        run.begin(DESCRIPTION, store.checkpoints(RUN)[0][1])
        run.observe(HISTORY_ROWS[1])
        newest = run.checkpoint("later", ALONE, ARRAYS)
    assert [saved.moment.stamp for saved, _ in store.checkpoints(RUN)] == ["later", "moment"]
    whole = newest.read_bytes()
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        newest.write_bytes(whole[:length])
        assert [saved.moment.stamp for saved, _ in store.checkpoints(RUN)] == ["moment"]
    for old in checkpoint.paths(path):
        damage(old, "changed")
    with pytest.raises(DamagedRunError, match=r"none of its checkpoints \(checkpoint-2-.*, checkpoint-1-.*\) is whole"):
        store.checkpoints(RUN)


def damage(path, kind):
    if kind == "missing":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif kind == "changed":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("kind", ["missing", "cut", "changed", "empty"])
@pytest.mark.parametrize("name", [MANIFEST, HISTORY, OUTPUTS])
def test_damaged_file_is_named(store, name, kind):
    path = save(store)
    damage(path / name, kind)
    with pytest.raises(DamagedRunError) as error:
        store.load(RUN).verify()
    sentence = rf"The stored run {re.escape(str(path))} is damaged: {name} .*\. Remove this directory to train .*\."
    assert re.fullmatch(sentence, str(error.value))


@pytest.mark.parametrize("read", [lambda run: run.history, lambda run: run.outputs])
def test_damage_is_found_when_a_file_is_read(store, read):
    path = save(store)
    run = load_run(path)
    for name in (HISTORY, OUTPUTS):
        damage(path / name, "changed")
    with pytest.raises(DamagedRunError):
        read(run)


@pytest.mark.parametrize("done", [True, False])
def test_manifest_cut_at_any_length_is_named(store, done):
    path = save(store, done=done)
    whole = (path / MANIFEST).read_bytes()
    for length in range(len(whole)):
        (path / MANIFEST).write_bytes(whole[:length])
        with pytest.raises(DamagedRunError, match=re.escape(str(path))):
            load_run(path)


@pytest.mark.parametrize("content", ["null", "[]", "3", '"text"', "{}", '{"schema": 1}'])
def test_manifest_of_something_else_is_named(store, content):
    path = save(store, done=False)
    (path / MANIFEST).write_text(content)
    with pytest.raises(DamagedRunError, match=re.escape(str(path))):
        load_run(path)


def test_newer_schema_is_refused(monkeypatch, store):
    path = save(store)
    monkeypatch.setattr(reading, "SCHEMA_VERSION", reading.SCHEMA_VERSION - 1)
    with pytest.raises(StoreError, match=r"has schema 2, this version reads 1 … 1; use the version that wrote it"):
        load_run(path)


def test_runs_of_schema_1_are_read(tmp_path):
    """Written by the version before: a complete run, and one that a budget stopped."""
    folder = ROOT / "tests" / "data" / "schema1"
    table = load_sweep(folder).table
    assert table[["h", "sqrt_h_alpha", "seed", "outcome"]].values.tolist() == [[8, 10.0, 0, "converged"]]
    [run] = load_sweep(folder).runs
    run.verify()
    assert run.history["t"][-1] == run.summary["t_stop"]
    assert run.outputs["F_test"].shape == (20,)
    [stopped] = [load_run(path) for path in (folder / "runs").iterdir() if path.name != run.run_id]
    assert not stopped.done
    # Its checkpoint is of a form that is no more: it is trained from the start.
    shutil.copytree(folder, tmp_path / "copy")
    assert Store(tmp_path / "copy").checkpoints(stopped.run_id) == []


def test_missing_run_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"There is no stored run in .*nowhere\."):
        load_run(tmp_path / "nowhere")


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "results")
    with pytest.raises(StoreError, match=r"The results folder .*file.results cannot be written \(Not a directory\)"):
        store.prepare()
    with pytest.raises(StoreError, match=r"The run cannot be claimed: .*file.results.*Not a directory"):
        save(store)


def test_preparing_leaves_nothing_behind(store):
    store.prepare()
    store.prepare()
    assert list((store.root / "runs").iterdir()) == []


def test_sweep_holds_complete_runs_in_order(store):
    for seed, h, x in [(1, 8, 0.1), (0, 8, 0.1), (0, 4, 1.0), (0, 4, 0.1)]:
        columns = {"h": h, "sqrt_h_alpha": x, "seed": seed}
        save(store, run_id=f"{seed}-{h}-{x}", description={**DESCRIPTION, "columns": columns})
    save(store, done=False)
    table = load_sweep(store.root).table
    assert table[["h", "sqrt_h_alpha", "seed"]].values.tolist() == [[4, 0.1, 0], [4, 1.0, 0], [8, 0.1, 0], [8, 0.1, 1]]
    assert table["t_half"].tolist() == [0.1 + 0.2] * 4
    assert_arrays_as_saved(load_sweep(store.root).runs[0].outputs)


def test_sweep_without_complete_run_is_refused(store):
    save(store, done=False)
    with pytest.raises(StoreError, match="There is no complete run in"):
        load_sweep(store.root)
    with pytest.raises(StoreError, match=r"There is no folder .*elsewhere"):
        load_sweep(store.root / "elsewhere")
