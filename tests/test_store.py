"""Stored runs: written in full or not at all, loaded as they were saved, named when they are damaged."""

import json
import math
import os
import re

import numpy as np
import pytest

from feature_lazy import runs as reading
from feature_lazy.errors import StoreError
from feature_lazy.runs import CHECKPOINT, DONE, HISTORY, MANIFEST, OUTPUTS, DamagedRunError, load_run, load_sweep
from feature_lazy.store import Store

DESCRIPTION = {
    "config": {"alpha": {"kind": "rescaled", "value": 0.1}, "observe": {"times": [1.0, 2.0]}},
    "columns": {"h": 8, "sqrt_h_alpha": 0.1, "seed": 0},
    "summary": {"outcome": "converged", "t_half": 0.1 + 0.2, "t_stop": math.nan, "kernel/change": math.inf},
    "provenance": {"wall_seconds": 1.5},
}
HISTORY_ROWS = [{"t": 0.0, "test/error": math.nan}, {"t": 1 / 3, "test/error": 0.125, "kernel/change": -math.inf}]
ARRAYS = {
    "F_test": np.array([1 / 3, -math.pi, math.nan]),
    "steps": np.array([3], dtype=np.int64),
    "odd": np.arange(12.0).reshape(3, 4)[:, ::2],  # not contiguous
}
RUN = "0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def save(store, *, done=True, rows=HISTORY_ROWS):
    store.save(RUN, DESCRIPTION, rows, ARRAYS, done=done)
    return store.path(RUN)


def assert_arrays_as_saved(arrays):
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_round_trip(store):
    run = load_run(save(store))
    assert run.done
    assert run.run_id == RUN
    assert (run.config, run.columns) == (DESCRIPTION["config"], DESCRIPTION["columns"])
    assert run.summary == {**DESCRIPTION["summary"], "t_stop": None, "kernel/change": None}  # JSON has no NaN
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


def test_checkpoint_round_trip(store):
    run = load_run(save(store, done=False))
    assert not run.done
    assert not store.is_done(RUN)
    rows, arrays = store.load_checkpoint(RUN)
    assert [row["t"] for row in rows] == [0.0, 1 / 3]
    assert math.isnan(rows[0]["kernel/change"])
    assert_arrays_as_saved(arrays)


def test_done_replaces_the_checkpoint(store):
    save(store, done=False)
    path = save(store)
    assert store.is_done(RUN)
    assert not (path / CHECKPOINT).exists()
    assert store.load_checkpoint(RUN) is None


def test_nothing_to_continue(store):
    assert store.load_checkpoint(RUN) is None


class Crash(BaseException):
    """What a kill looks like from inside: nothing handles it."""


def crash_at(monkeypatch, k):
    """Let the process die at the k-th replacement of a file, before it happens."""
    calls = iter(range(k))
    replace = os.replace

    def dying(source, target):
        if next(calls, None) is None:
            raise Crash
        replace(source, target)

    monkeypatch.setattr(os, "replace", dying)


def crashes(monkeypatch, store, *, done):
    """Save with a crash at every replacement in turn, until a save goes through; yields after each crash."""
    for k in range(10):
        with monkeypatch.context() as patch:
            crash_at(patch, k)
            try:
                save(store, done=done)
            except Crash:
                yield k
            else:
                return
    raise AssertionError("a save never went through")


def test_crash_at_any_moment_leaves_no_complete_looking_run(monkeypatch, store):
    crashed = []
    for k in crashes(monkeypatch, store, done=True):
        crashed.append(k)
        assert not store.is_done(RUN)
        assert store.load_checkpoint(RUN) is None
        assert not list(store.path(RUN).glob(".*"))  # nor half a file
    assert crashed == [0, 1, 2, 3]  # before history, outputs, manifest and done
    load_run(store.path(RUN)).verify()


@pytest.mark.parametrize("done", [True, False])
def test_crash_over_a_checkpoint_leaves_a_loadable_or_a_named_run(monkeypatch, store, done):
    save(store, done=False, rows=HISTORY_ROWS[:1])
    for _ in crashes(monkeypatch, store, done=done):
        assert not store.is_done(RUN)
        try:
            said = "" if store.load_checkpoint(RUN) is not None else "nothing"
        except StoreError as error:
            said = str(error)
        assert said == "" or str(store.path(RUN)) in said
    load_run(store.path(RUN)).verify()


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


def test_other_schema_is_refused(monkeypatch, store):
    path = save(store)
    monkeypatch.setattr(reading, "SCHEMA_VERSION", reading.SCHEMA_VERSION + 1)
    with pytest.raises(StoreError, match=r"has schema 1, this version reads 2"):
        load_run(path)


def test_missing_run_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"There is no stored run in .*nowhere\."):
        load_run(tmp_path / "nowhere")


def test_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "results")
    with pytest.raises(StoreError, match=r"The results folder .*file.results cannot be written \(Not a directory\)"):
        store.prepare()
    with pytest.raises(StoreError, match=r"The run .* cannot be written \(Not a directory\)"):
        save(store)


def test_preparing_leaves_nothing_behind(store):
    store.prepare()
    store.prepare()
    assert list((store.root / "runs").iterdir()) == []


def test_sweep_holds_complete_runs_in_order(store):
    for seed, h, x in [(1, 8, 0.1), (0, 8, 0.1), (0, 4, 1.0), (0, 4, 0.1)]:
        columns = {"h": h, "sqrt_h_alpha": x, "seed": seed}
        store.save(f"{seed}-{h}-{x}", {**DESCRIPTION, "columns": columns}, HISTORY_ROWS, ARRAYS)
    save(store, done=False)
    table = load_sweep(store.root)
    assert table[["h", "sqrt_h_alpha", "seed"]].values.tolist() == [[4, 0.1, 0], [4, 1.0, 0], [8, 0.1, 0], [8, 0.1, 1]]
    assert table["t_half"].tolist() == [0.1 + 0.2] * 4
    assert_arrays_as_saved(table["run"][0].outputs)


def test_sweep_without_complete_run_is_refused(store):
    save(store, done=False)
    with pytest.raises(StoreError, match="There is no complete run in"):
        load_sweep(store.root)
