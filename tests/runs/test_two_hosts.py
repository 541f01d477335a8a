"""Two hosts that see one folder and not each other's processes take over from each other, as docs/runs.md says."""

import signal

import psutil
import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.runs import training
from feature_lazy.runs.failures import record
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import ERROR
from feature_lazy.runs.store import Store
from feature_lazy.runs.store.lease import highest, last_sign
from feature_lazy.runs.store.owner import this_process
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK, TINY
from tests.processes import science, start, train, wait_for
from tests.runs import hosts
from tests.runs.test_lease import ELSEWHERE, held_by
from tests.runs.test_stopping import LONG, observations

namespaces = pytest.mark.skipif(not hosts.works(), reason="this machine gives no namespaces (unshare)")


@pytest.fixture
def two(tiny, tmp_path):
    """A job, its folder, and what becomes of it on one host that nobody disturbs."""
    train(tiny(*LONG, f"output_dir={tmp_path / 'whole'}"))
    return (*TINY, *LONG, f"output_dir={tmp_path / 'results'}"), tmp_path / "results", science(tmp_path / "whole")


def inner(process):
    """The process on its host, by its number here."""
    return psutil.Process(process.pid).children(recursive=True)[-1]


def owners(results):
    return {sign.owner.host for path in results.glob("runs/[0-9a-f]*") if (sign := last_sign(path)) and sign.owner}


@namespaces
def test_a_host_that_was_stopped_and_wakes_writes_nothing_more(two):
    job, results, whole = two
    first = hosts.start("nodea", 1, *job)
    wait_for(lambda: max(observations(results), default=0) > 8)
    inner(first).send_signal(signal.SIGSTOP)
    assert owners(results) == {"nodea"}
    second = hosts.start("nodeb", 1, *job)
    wait_for(lambda: owners(results) == {"nodeb"})
    inner(first).send_signal(signal.SIGCONT)
    said, _ = first.communicate(timeout=60)
    assert first.returncode != 0
    assert "has been taken over by another process" in said
    assert not list(results.glob(f"runs/*/{ERROR}"))
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert science(results) == whole


@namespaces
def test_a_host_that_is_asked_to_end_gives_its_runs_back_at_once(two):
    """The other one need not watch for a minute and a half: here it would wait for an hour."""
    job, results, whole = two
    first = hosts.start("nodea", 1, *job)
    wait_for(lambda: max(observations(results), default=0) > 8)
    inner(first).send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert all(last_sign(path).owner.released for path in results.glob("runs/[0-9a-f]*"))
    second = hosts.start("nodeb", 3600, *job)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 0, said
    assert science(results) == whole


@pytest.mark.parametrize("released", [False, True])
def test_who_lost_a_run_leaves_no_reason_in_it(tiny, tmp_path, monkeypatch, released):
    """Also where whoever took it over has given it back since: the number tells, and not who is alive."""
    config = tiny(*QUICK, "seed=ensemble", "seed.members=2")
    lost, kept = (Store(config.output_dir).path(cell.run_id) for cell in cells(config))
    from dataclasses import replace

    def taken(self, *arguments):
        held_by(lost, replace(ELSEWHERE, released=released), number=highest(lost) + 1)
        raise ValueError("something else went wrong")

    monkeypatch.setattr(training.BatchTraining, "_rows", taken)
    with pytest.raises(ValueError, match="something else"):
        train_config(config)
    assert not (lost / ERROR).exists()
    assert "something else" in (kept / ERROR).read_text()


def test_who_lost_a_run_in_the_middle_of_a_write_says_so(tiny, monkeypatch):
    """The new owner has removed the file that was half written."""
    config = tiny(*QUICK, "checkpoint_every=1e-9")
    [path] = (Store(config.output_dir).path(cell.run_id) for cell in cells(config))

    def half_written(*arguments):
        held_by(path, ELSEWHERE, number=highest(path) + 1)
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr("feature_lazy.runs.store.checkpoint.write", half_written)
    with pytest.raises(StoreError, match="has been taken over by another process"):
        train_config(config)
    assert not (path / ERROR).exists()


def test_a_reason_needs_a_run_that_nobody_trains(tiny, tmp_path):
    """What never had the run may say why it could not, unless somebody else shows signs of life."""
    [cell] = cells(tiny(*QUICK))
    store = Store(tmp_path / "results")
    path = store.path(cell.run_id)
    held_by(path, ELSEWHERE)
    record(store, [cell], "ValueError: no")
    assert not (path / ERROR).exists()
    record(store, [cell], "its job has ended", job=ELSEWHERE.job)
    assert (path / ERROR).exists()


def test_job_of_an_array_is_what_the_queue_shows(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4712")
    assert this_process().job == "4712"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert this_process().job == "4700_3"


def test_signal_gives_runs_back(tiny, tmp_path):
    process = start(train, tiny(*LONG))
    wait_for(lambda: max(observations(tmp_path / "results"), default=0) > 8)
    process.terminate()
    process.join()
    assert process.exitcode == -signal.SIGTERM
    for path in (tmp_path / "results").glob("runs/[0-9a-f]*"):
        assert last_sign(path).owner.released


def test_a_claim_that_fails_holds_nothing(tmp_path):
    store = Store(tmp_path / "results")
    (tmp_path / "elsewhere").mkdir()
    store.prepare()
    (store.root / "runs" / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="a link, which is not followed"):
        store.claim(["a", "b"])
    assert last_sign(store.path("a")).owner.released
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert [entry.state for entry in survey(store.root).entries] == [RunState.INTERRUPTED]
