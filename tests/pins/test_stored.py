"""Runs that earlier versions stored: they load, count as done, and those that were stopped go on."""

import shutil

import pytest

from tests.conftest import ROOT
from tests.pins import cases, golden, ways


def files(folder):
    """Content of every file, and when it was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(ways.DATA / "stored", tmp_path / "results")


def configured(folder, *overrides):
    return ways.composed([*overrides, f"output_dir={folder}"])


def test_done_run_is_not_trained_again(folder):
    before = files(folder)
    [run] = ways.trained(configured(folder, *cases.DONE))
    assert run.done
    run.verify()
    assert files(folder) == before


def test_stopped_run_goes_on_and_ends_as_if_it_had_not_been_stopped(folder):
    config = configured(folder, *cases.STOPPED)
    [run_id] = ways.run_ids(config)
    [(saved, _)] = ways.Store(folder).checkpoints(run_id)
    before = ways.load_run(folder / "runs" / run_id)
    assert (before.done, before.summary["outcome"]) == (False, "max_steps")
    assert saved.arrays["steps"].item() == before.summary["steps"] == 5
    [run] = ways.trained(config)
    assert run.done
    assert run.rows[: len(before.rows)] == before.rows
    golden.check(golden.read("histories")["stopped"], [golden.of_run(run)])


def test_it_is_the_checkpoint_from_which_it_goes_on(folder):
    """A new training would end in the same way, but not from weights that are moved."""
    config = configured(folder, *cases.STOPPED)
    [run_id] = ways.run_ids(config)
    [(saved, _)] = ways.Store(folder).checkpoints(run_id)
    moved = {**saved.arrays, "y": saved.arrays["y"] * (1 + 1e-6)}
    ways.write_checkpoint(folder / "runs" / run_id, saved.moment, moved)
    [run] = ways.trained(config)
    assert list(golden.differences(golden.read("histories")["stopped"], [golden.of_run(run)])) != []


def test_stopped_run_is_trained_no_further_than_the_same_command_asks(folder):
    config = configured(folder, *cases.STOPPED, cases.BUDGET)
    [before] = [ways.load_run(folder / "runs" / run_id) for run_id in ways.run_ids(config)]
    [run] = ways.trained(config)
    assert not run.done
    assert (run.summary, run.rows) == (before.summary, before.rows)


def test_plan_asks_for_the_runs_that_are_there(folder):
    """What ``feature-lazy retry`` and queued jobs read."""
    jobs = ways.planned(folder)
    assert len(jobs) == 2
    assert all(then == now for then, now in jobs)
    assert {run for then, _ in jobs for run in then} == {path.name for path in (folder / "runs").iterdir()}


def test_runs_of_schema_1_load_and_count_as_done_under_their_ids(tmp_path):
    """Their science had no version yet: the same command has another id today, and leaves them as they are."""
    folder = shutil.copytree(ROOT / "tests" / "data" / "schema1", tmp_path / "results")
    before = files(folder)
    store = ways.Store(folder)
    done = ways.load_run(store.path("007dd0f251fa633f"))
    done.verify()
    assert [store.is_done(run) for run in ("007dd0f251fa633f", "ed65ddf21f24eb6d")] == [True, False]
    golden.check(golden.read("schema1")["done"], [golden.of_run(done)], exact=True)
    [today] = ways.trained(configured(folder, *cases.SCHEMA1))
    assert today.run_id == "5a9f9d9576834e15"
    assert before.items() <= files(folder).items()
