# ruff: noqa: F401, F811 - fixtures
"""A user's own data that change between two commands: found, said, and trained on beside the old runs."""

import hashlib
import json
import logging

import pytest

from feature_lazy.core.errors import DataError, StoreError
from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.launch.boundary.readings import Readings
from feature_lazy.launch.boundary.readings import stored as stored_runs
from feature_lazy.launch.commands import main
from feature_lazy.runs.changed import beside
from feature_lazy.runs.job import train_config
from feature_lazy.runs.measuring import measure
from feature_lazy.runs.plan import read_plans, write_plans
from feature_lazy.runs.reading import DONE, MANIFEST, checksum, load_run
from feature_lazy.runs.resumption import DifferentError
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.settings.cells import cells
from feature_lazy.settings.registry import find
from feature_lazy.study.table import parts, read
from tests.runs.test_resumption import OWN, job, own


def name_of(run):
    """That of its data."""
    return Fingerprint.read(run.inputs["data"]).name


def trained(config):
    return [load_run(f"{config.output_dir}/runs/{run_id}") for run_id in train_config(config)]


def test_the_same_data_are_trained_on_once(job, caplog):
    [first] = trained(job())
    with caplog.at_level(logging.INFO):
        [second] = trained(job())
    assert second.path == first.path
    assert "1 run, 1 already done in " in caplog.text
    assert "changed" not in caplog.text


def test_others_are_trained_on_beside_and_every_reader_knows(job, own, monkeypatch, caplog, capsys):
    [first] = trained(job())
    kept = {path.name: path.read_bytes() for path in first.path.iterdir()}
    monkeypatch.setattr(own, "SWAPPED", 1)
    [second] = trained(job())
    assert "own_inputs.data: the data have changed since runs" in caplog.text
    assert second.run_id != first.run_id
    assert second.config["dataset"]["content"] == name_of(second) != name_of(first)
    assert second.rows != first.rows
    assert {path.name: path.read_bytes() for path in first.path.iterdir()} == kept
    # Once more: nothing is trained, and nothing is forgotten.
    assert trained(job())[0].path == second.path
    found = survey(first.path.parent.parent)
    notes = {entry.run_id: entry.note for entry in found.entries}
    assert notes[first.run_id].endswith("and the data have changed since")
    assert "changed" not in notes[second.run_id]
    assert main(["status", str(found.root)]) == 0
    assert "the data have changed since" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(StoreError, match=r"mixes runs with dataset\.content"):
        read(found.root)
    assert sorted(parts(found.root)) == sorted(f"dataset.content = {name_of(run)}" for run in (first, second))
    # Back to what they were: the old run is the one again.
    monkeypatch.setattr(own, "SWAPPED", 0)
    assert trained(job())[0].path == first.path


def test_of_an_ensemble_all_members_are_trained_on_the_same_data(job, own, monkeypatch):
    trained(job())
    monkeypatch.setattr(own, "SWAPPED", 2)
    runs = trained(job("seed=ensemble", "seed.members=2"))
    assert len({run.inputs["data"] for run in runs}) == 1
    assert all(run.config["dataset"]["content"] == name_of(run) for run in runs)


def test_data_that_changed_between_two_sweeps_are_not_mixed(job, own, monkeypatch):
    """No run is repeated, so that no command has anything to compare: what reads them does."""
    trained(job())
    monkeypatch.setattr(own, "SWAPPED", 1)
    [second] = trained(job("alpha.value=2"))
    assert "content" not in second.config["dataset"]
    with pytest.raises(StoreError, match=r"mixes runs with dataset\.content"):
        read(second.path.parent.parent)


def test_other_data_by_another_key_are_no_change(job, own, monkeypatch):
    trained(job())
    [second] = trained(job("dataset.n_train=8"))
    with pytest.raises(StoreError, match="mixes runs with P = 8, 10"):
        read(second.path.parent.parent)


def test_what_is_asked_for_by_its_fingerprint_is_what_is_trained_on(job, own, monkeypatch):
    [first] = trained(job())
    content = f"dataset.content={name_of(first)}"
    assert trained(job(content))[0].rows == first.rows
    monkeypatch.setattr(own, "SWAPPED", 1)
    with pytest.raises(DataError, match=f"{content}: the data have changed since, they are"):
        train_config(job(content, "alpha.value=3"))


def stored_with(run, inputs):
    """The run, with other fingerprints in its manifest, or none."""
    manifest = {name: value for name, value in run.manifest.items() if name not in ("inputs", "sha256")}
    manifest = {**manifest, **({"inputs": inputs} if inputs else {})}
    text = json.dumps({**manifest, "sha256": checksum(manifest)}).encode()
    (run.path / MANIFEST).write_bytes(text)
    (run.path / DONE).write_text(hashlib.sha256(text).hexdigest())
    return load_run(run.path)


def test_runs_with_names_for_fingerprints_are_those_of_the_same_data(job, own, monkeypatch):
    [first] = trained(job())
    name = name_of(first)
    first = stored_with(first, {"data": name})
    assert trained(job())[0].path == first.path
    [second] = trained(job("alpha.value=2"))
    read(second.path.parent.parent)
    also = {"cka": find("observe/also", "cka")(kind="cka", probe=8)}
    [weights] = trained(job("alpha.value=3", "observe.weights=ends"))
    assert "cka" in measure(stored_with(weights, {"data": name}), also).measured
    monkeypatch.setattr(own, "SWAPPED", 1)
    [third] = trained(job())
    assert third.config["dataset"]["content"] == name_of(third) != name


def test_a_run_from_before_there_were_fingerprints_is_done(job, own, monkeypatch):
    [first] = trained(job())
    stored_with(first, {})
    monkeypatch.setattr(own, "SWAPPED", 1)
    assert load_run(first.path).inputs == {}
    assert beside([job()])[0].dataset.content == ""
    assert trained(job())[0].path == first.path


def test_the_plan_has_the_new_ones_and_a_queued_one_says_why(job, own, monkeypatch):
    [first] = trained(job())
    monkeypatch.setattr(own, "SWAPPED", 1)
    root, before = first.path.parent.parent, read_plans(first.path.parent.parent)
    [new] = beside([job()])
    assert read_plans(root) == before  # a dry run looks, and plans nothing
    write_plans([new])
    [cell] = cells(new)
    assert cell.run_id in {run.run_id for planned in read_plans(root)[0] for run in planned.runs}
    found = {entry.run_id: entry for entry in survey(root).entries}
    assert found[cell.run_id].state is RunState.QUEUED
    assert found[cell.run_id].note == "new: the data have changed since"
    assert found[first.run_id].note.endswith("the data have changed since")


def test_a_search_reads_no_run_on_other_data(job, own, monkeypatch, tmp_path):
    probe = ("observe.kernel.probe=8", "seed=ensemble", "seed.members=2")
    trained(job(*probe))
    readings = Readings(job(*probe), "kernel/change", 1.0)
    readings.take(stored_runs(tmp_path / "results"))
    assert len(readings.points()) == 1
    monkeypatch.setattr(own, "SWAPPED", 1)
    other = Readings(job(*probe), "kernel/change", 1.0)
    other.take(stored_runs(tmp_path / "results"))
    assert other.points() == {}


def test_nothing_is_measured_on_other_data(job, own, monkeypatch):
    [first] = trained(job("observe.weights=ends"))
    also = {"cka": find("observe/also", "cka")(kind="cka", probe=8)}
    assert "cka" in measure(first, also).measured
    monkeypatch.setattr(own, "SWAPPED", 1)
    with pytest.raises(DifferentError, match="begun with other data than there are now"):
        measure(first, also)


def test_a_sweep_compares_too(train_py, own, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    swapped, results = tmp_path / "swapped.txt", tmp_path / "results"
    swapped.write_text("0")
    call = ("-m", *OWN, f"+dataset.kwargs.path={swapped}", "alpha.value=1,2", "hydra.launcher.n_jobs=1")
    said = train_py(results, *call)
    assert said.returncode == 0, said.stderr
    assert "2 runs in 2 jobs, 2 runs already done" in train_py(results, *call).stdout
    swapped.write_text("1")
    planned = [path.read_bytes() for path in sorted((results / "plans").iterdir())]
    assert "the data have changed since" in train_py(results, *call, "hydra.launcher.dry_run=true").stdout
    assert [path.read_bytes() for path in sorted((results / "plans").iterdir())] == planned
    again = train_py(results, *call)
    assert again.stdout.count("own_inputs.data: the data have changed since") == 1
    assert "the data have changed since" in " ".join(again.stdout.split("Next:")[0].split()[-30:])  # at the sweep's end
    assert "2 runs in 2 jobs, 0 runs already done" in again.stdout
    assert {bool(run.config["dataset"].get("content")) for run in stored_runs(results)} == {True, False}
    assert len(stored_runs(results)) == 4
    assert "2 runs in 2 jobs, 2 runs already done" in train_py(results, *call).stdout
