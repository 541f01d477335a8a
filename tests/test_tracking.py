"""Real Weights & Biases files, written offline and read back."""

import json
import os
import struct

import pytest

from feature_lazy.build import build
from feature_lazy.run import run
from tests.conftest import QUICK


def records(path):
    """What an offline run's file holds: Protobuf records in LevelDB's log format, after a header of seven bytes.

    W&B's own reader moves between versions; the format is what ``wandb sync`` of every version reads.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, whole = path.read_bytes(), 7, b""
    while position < len(data):
        left = 32768 - position % 32768
        if left < 7:  # what remains of a block is padding
            position += left
            continue
        length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield Record.FromString(whole)
            whole = b""


def values(items):
    """A record's items as a plain dictionary."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No account and no settings of the machine; call it to end W&B's own process, which writes the files."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    import wandb

    yield wandb.teardown
    wandb.teardown()


def test_members_are_two_runs_with_the_history_that_is_stored(tiny, tmp_path, caplog, offline):
    job = (*QUICK, "seed=ensemble", "seed.members=2", "observe.kernel.probe=0")
    stored = {one.run_id: one for one in run(build(tiny(*job, "tracking=wandb", "tracking.project=laziness")))}
    offline()  # a run that is finished may still be in its buffers
    assert [record.getMessage() for record in caplog.records if record.name == "feature_lazy.tracking"] == []
    paths = list((tmp_path / "results" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert {path.stem.removeprefix("run-") for path in paths} == set(stored)
    for path in paths:
        one = stored[path.stem.removeprefix("run-")]
        written = {kind: [] for kind in ("run", "history", "summary")}
        for record in records(path):
            written.setdefault(record.WhichOneof("record_type"), []).append(record)
        [head] = [record.run for record in written["run"]]
        assert (head.run_id, head.project, head.run_group) == (one.run_id, "laziness", "results")
        assert head.display_name == f"√hα=10 h=8 seed={one.columns['seed']}"
        config = values(head.config.update)
        assert one.columns.items() <= config.items()
        assert config["science"] == one.config
        rows = [values(record.history.item) for record in written["history"]]
        assert len(rows) == len(one.history["t"]) > 5
        for name, column in one.history.items():
            assert [row[name] for row in rows] == column.tolist(), name
        summary = {}
        for record in written["summary"]:
            summary |= values(record.summary.update)
        assert (summary["outcome"], summary["t_stop"]) == ("converged", one.summary["t_stop"])
