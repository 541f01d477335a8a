"""Results folders that are damaged or come from a stranger: no code runs, nothing outside is read, others load."""

import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import read_regular
from feature_lazy.launch.commands import main
from feature_lazy.runs.plan import read_plans
from feature_lazy.runs.reading import (
    DONE,
    HISTORY,
    MANIFEST,
    OUTPUTS,
    DamagedRunError,
    MisnamedRunError,
    checksum,
    load_run,
)
from feature_lazy.runs.store import Store
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.sweep import load_sweep
from tests.runs.conftest import RUN, save

FILES = (MANIFEST, HISTORY, OUTPUTS, DONE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two complete runs; tests damage copies of the first."""
    store = Store(tmp_path_factory.mktemp("whole"))
    save(store)
    save(store, run_id="other")
    return store.root


@pytest.fixture(scope="module")
def copy(whole, tmp_path_factory):
    """A folder in which the first run can be put back as it was."""
    root = tmp_path_factory.mktemp("copy") / "results"
    shutil.copytree(whole, root)

    def fresh():
        for name in FILES:
            (root / "runs" / RUN / name).unlink(missing_ok=True)
            (root / "runs" / RUN / name).write_bytes((whole / "runs" / RUN / name).read_bytes())
        return root

    return fresh


def read_everything(path):
    """All that a reader may ask of a run."""
    run = load_run(path)
    run.verify()
    return run.history, run.outputs, run.summary, run.columns, run.config


def assert_found_and_named(root, readable=False):
    """Either the run's content is what it was, or an error names it; the other run loads in any case."""
    try:
        read_everything(root / "runs" / RUN)
        damaged = False
    except StoreError as error:
        damaged = RUN in str(error)
        assert damaged
    assert damaged or readable
    read_everything(root / "runs" / "other")
    assert any(entry.run_id == "other" and entry.state is RunState.DONE for entry in survey(root).entries)


@pytest.mark.parametrize("name", FILES)
def test_cut_at_every_length(copy, whole, name):
    data = (whole / "runs" / RUN / name).read_bytes()
    for length in range(len(data)):
        root = copy()
        (root / "runs" / RUN / name).write_bytes(data[:length])
        with pytest.raises(StoreError, match=RUN):
            read_everything(root / "runs" / RUN)
    assert_found_and_named(root)
    assert main(["verify", str(root)]) == 1


@given(st.sampled_from(FILES), st.integers(0, 10**9), st.integers(1, 255))
def test_any_byte_changed(copy, name, place, flip):
    root = copy()
    path = root / "runs" / RUN / name
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= flip
    path.write_bytes(bytes(data))
    assert_found_and_named(root)


@given(
    st.binary(max_size=300),
    st.sampled_from([*FILES, "owner-1.json", "error.txt", f"checkpoint-1-{'0' * 16}.safetensors"]),
)
def test_any_content_in_any_file(copy, content, name):
    root = copy()
    path = root / "runs" / RUN / name
    path.write_bytes(content)
    assert_found_and_named(root, readable=name not in FILES)
    if name not in FILES:
        path.unlink()


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("name", [*FILES, "owner-1.json", f"checkpoint-1-{'0' * 16}.safetensors", "error.txt"])
def test_a_pickle_in_place_of_any_file_is_not_run(copy, tmp_path, name):
    root, trap = copy(), tmp_path / "trap"
    (root / "runs" / RUN / name).write_bytes(pickle.dumps(Attack(trap)))
    look_at_everything(root, tmp_path)
    assert not trap.exists()


def look_at_everything(root, tmp_path):
    """Every command that only reads, and the Python functions."""
    for command in (
        ["status", str(root)],
        ["status", str(root), "--json"],
        ["verify", str(root)],
        ["clean", str(root)],
    ):
        assert main(command) in (0, 1)
    main(["export", str(root), str(tmp_path / "out.csv")])
    for path in (root / "runs").iterdir():
        try:
            read_everything(path)
        except StoreError:
            continue


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_not_read(copy, tmp_path, name, kind):
    """A link would read, and export, a file of the victim's; a pipe would hang."""
    root, secret = copy(), tmp_path / "secret"
    path = root / "runs" / RUN / name
    secret.write_bytes(path.read_bytes())
    path.unlink()
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    try:
        with pytest.raises(StoreError, match=RUN):
            read_everything(root / "runs" / RUN)
        assert_found_and_named(root)
    finally:
        path.rmdir() if kind == "folder" else path.unlink()


def test_a_device_is_not_read():
    """From /dev/zero there is no end of reading."""
    with pytest.raises(OSError, match="not a plain file"):
        read_regular(Path(os.devnull))


def test_changed_manifest_of_an_unfinished_run(tmp_path):
    store = Store(tmp_path)
    path = save(store, done=False) / MANIFEST
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"max_steps", b"max_stepz"))
    with pytest.raises(StoreError, match=f"{RUN} is damaged: {MANIFEST} does not match its checksum"):
        load_run(path.parent)


def test_a_run_that_is_a_link_is_left_alone(whole, tmp_path):
    root = tmp_path / "results"
    shutil.copytree(whole, root)
    shutil.move(root / "runs" / RUN, tmp_path / "elsewhere")
    (root / "runs" / RUN).symlink_to(tmp_path / "elsewhere")
    assert [run.run_id for run in load_sweep(root).runs] == ["other"]
    assert [entry.run_id for entry in survey(root).entries] == ["other"]
    assert "is not a run's directory" in survey(root).problems[0]
    assert main(["clean", str(root), "--state", "done,damaged,interrupted", "--yes"]) == 0
    assert (tmp_path / "elsewhere" / MANIFEST).exists()


def signed(manifest):
    """A stranger can compute a checksum too."""
    return json.dumps({**manifest, "sha256": checksum(manifest)}).encode()


@pytest.mark.parametrize("name", ["../other/history.jsonl", "/etc/hostname", "x\0y"])
def test_names_in_a_manifest_lead_nowhere(copy, name):
    """Only files of known names are ever opened, whatever a manifest lists or is called."""
    root = copy()
    path = root / "runs" / RUN
    manifest = {**load_run(path).manifest, "run_id": name, "files": {name: "0" * 64}}
    manifest.pop("sha256")
    (path / MANIFEST).write_bytes(signed(manifest))
    (path / DONE).unlink()
    with pytest.raises(MisnamedRunError, match="whose name it does not have"):
        load_run(path)
    assert [entry.run_id for entry in survey(root).entries] == ["other"]
    assert "whose name it does not have" in survey(root).problems[0]
    (path / MANIFEST).write_bytes(signed({**manifest, "run_id": RUN}))
    assert {entry.run_id for entry in survey(root).entries} == {RUN, "other"}


@pytest.mark.parametrize("group", ["seed", "dataset", "loss"])
def test_a_group_of_a_stored_configuration_is_an_object(copy, tmp_path, group):
    """Whoever reads it looks into it, and a number would be met with a traceback."""
    root = copy()
    path = root / "runs" / RUN
    manifest = load_run(path).manifest
    manifest.pop("sha256")
    (path / MANIFEST).write_bytes(signed({**manifest, "config": {**manifest["config"], group: 3}}))
    (path / DONE).unlink()
    with pytest.raises(DamagedRunError, match=f"config.{group} is not an object"):
        load_run(path)
    look_at_everything(root, tmp_path)


def test_targets_in_a_stored_configuration_are_not_imported(copy, tmp_path, monkeypatch):
    root = copy()
    (tmp_path / "stranger.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    path = root / "runs" / RUN
    manifest = load_run(path).manifest
    manifest.pop("sha256")
    manifest["config"] = manifest["resolved"] = {"architecture": {"kind": "custom", "target": "stranger.Net"}}
    (path / MANIFEST).write_bytes(signed(manifest))
    (path / DONE).unlink()
    plan = {"schema": 1, "jobs": [{"config": manifest["config"], "runs": []}]}
    (root / "plans").mkdir(exist_ok=True)
    (root / "plans" / "p.json").write_bytes(signed(plan))
    look_at_everything(root, tmp_path)
    assert "stranger" not in sys.modules


@pytest.mark.parametrize("content", [b"[" * 10**6, b'{"a":' * 10**5, b"\xff\xfe", b"null", b"1" * 10**5])
def test_json_that_is_made_to_break_readers(copy, tmp_path, content):
    root = copy()
    for name in (MANIFEST, "owner-1.json"):
        (root / "runs" / RUN / name).write_bytes(content)
    (root / "plans").mkdir(exist_ok=True)
    (root / "plans" / "p.json").write_bytes(content)
    look_at_everything(root, tmp_path)
    assert len(read_plans(root)[1]) == 1
    assert_found_and_named(root)
    (root / "runs" / RUN / "owner-1.json").unlink()
    shutil.rmtree(root / "plans")
