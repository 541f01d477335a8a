"""Who trains a run: exactly one process, whatever dies, sleeps, or has a clock that is wrong."""

import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, replace

import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import create_exclusively
from feature_lazy.runs.store import lease as module
from feature_lazy.runs.store.lease import Lease, claim, highest, last_sign
from feature_lazy.runs.store.owner import Owner, _birth, this_process
from feature_lazy.runs.survey import RunState, survey
from tests.processes import PROCESSES, start, wait_for

ELSEWHERE = Owner(host="node7", pid=4321, birth=1, machine="another boot", job="17")


def held_by(folder, owner, number=1):
    """A run's directory as an owner left it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"owner-{number}.json").write_text(json.dumps(asdict(owner)))
    return folder


def try_claim(folder, patience=0.0):
    leases, taken = claim([folder], patience=patience)
    return leases.get(folder), taken.get(folder)


def test_one_owner_at_a_time(tmp_path):
    lease, _ = try_claim(tmp_path / "run")
    assert try_claim(tmp_path / "run") == (None, this_process())
    lease.release()
    again, _ = try_claim(tmp_path / "run")
    assert again.number == 2
    again.release(done=True)
    assert list((tmp_path / "run").iterdir()) == []


def hold(folder, held):
    claim([folder])
    held.set()
    time.sleep(60)


def test_dead_owner_of_this_machine_is_replaced_at_once(tmp_path, monkeypatch):
    folder, held = tmp_path / "run", PROCESSES.Event()
    process = start(hold, folder, held)
    assert held.wait(60)
    assert try_claim(folder, patience=60.0)[1].pid == process.pid
    process.kill()
    # Dead, and not yet reaped by its parent: its number is still taken.
    wait_for(lambda: last_sign(folder).owner.surely_dead())
    monkeypatch.setattr("feature_lazy.runs.store.lease.time.sleep", pytest.fail)
    lease, _ = try_claim(folder, patience=60.0)
    assert lease.number == 2
    process.join()


def test_a_later_process_with_the_same_number_is_not_the_owner(tmp_path):
    before = replace(this_process(), birth=this_process().birth - 1)
    assert try_claim(held_by(tmp_path / "run", before), patience=60.0)[0].number == 2


def test_owner_elsewhere_is_watched_before_it_is_taken_for_dead(tmp_path, monkeypatch):
    folder, now = held_by(tmp_path / "run", ELSEWHERE), [0.0]
    monkeypatch.setattr("feature_lazy.runs.store.lease.time.monotonic", lambda: now[0])
    monkeypatch.setattr("feature_lazy.runs.store.lease.time.sleep", lambda s: now.append(now.pop() + s))
    lease, _ = try_claim(folder, patience=100.0)
    assert lease.number == 2
    assert now[0] >= 100


def touch(folder):
    for _ in range(200):
        os.utime(folder / "owner-1.json")
        time.sleep(0.05)


@pytest.mark.parametrize("years", [-1, 0, 1])
def test_owner_elsewhere_that_gives_signs_of_life_keeps_its_run(tmp_path, monkeypatch, years):
    """Whatever this machine's clock says."""
    folder = held_by(tmp_path / "run", ELSEWHERE)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + years * 3e7)
    process = start(touch, folder)
    try:
        assert try_claim(folder, patience=8.0) == (None, ELSEWHERE)
    finally:
        process.kill()
        process.join()


def test_restarted_job_of_slurm_need_not_wait_for_itself(tmp_path, monkeypatch):
    folder = held_by(tmp_path / "run", ELSEWHERE)
    monkeypatch.setenv("SLURM_JOB_ID", ELSEWHERE.job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert not ELSEWHERE.surely_dead()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    monkeypatch.setattr("feature_lazy.runs.store.lease.time.sleep", pytest.fail)
    assert try_claim(folder, patience=10.0)[0].number == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": "x"}', "[" * 100_000])
def test_unreadable_owner_is_watched_too(tmp_path, content):
    folder = held_by(tmp_path / "run", ELSEWHERE)
    (folder / "owner-1.json").write_text(content)
    assert try_claim(folder, patience=0.2)[0].number == 2


def test_owner_whose_run_another_has_finished_is_told_so(tmp_path):
    """The folder is there and has no owner: it is not gone."""
    lease, _ = try_claim(tmp_path / "run")
    Lease(held_by(tmp_path / "run", ELSEWHERE, lease.number + 1), lease.number + 1).release(done=True)
    with pytest.raises(StoreError, match="has been taken over by another process"):
        lease.check()
    (tmp_path / "run").rmdir()
    with pytest.raises(StoreError, match="is gone"):
        lease.check()


def test_owner_that_was_taken_over_writes_nothing_more(tmp_path):
    lease, _ = try_claim(tmp_path / "run")
    lease.check()
    held_by(tmp_path / "run", ELSEWHERE, number=2)
    with pytest.raises(StoreError, match="has been taken over by another process"):
        lease.check()
    lease.release()
    assert highest(tmp_path / "run") == 2


def compete(folder, number, barrier, winners):
    barrier.wait()
    if claim([folder], patience=0.2)[0]:
        winners.put(number)
        time.sleep(1.0)  # alive while the others look


@pytest.mark.parametrize("before", [None, ELSEWHERE])
def test_of_many_that_want_a_run_at_once_one_gets_it(tmp_path, before):
    folder = tmp_path / "run"
    if before is not None:
        held_by(folder, before)
    barrier, winners = PROCESSES.Barrier(8), PROCESSES.Queue()
    processes = [start(compete, folder, number, barrier, winners) for number in range(8)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    winners.get(timeout=5)
    assert winners.empty()


def test_heartbeat(store, monkeypatch):
    monkeypatch.setattr(module, "BEAT", 0.02)
    with store.claim(["run"]) as claims:
        before = last_sign(claims.runs["run"].path)
        wait_for(lambda: last_sign(claims.runs["run"].path) != before)
        assert [entry.state for entry in survey(store.root).entries] == [RunState.RUNNING]
    assert [entry.state for entry in survey(store.root).entries] == [RunState.INTERRUPTED]


@pytest.mark.parametrize(("age", "state"), [(5, RunState.RUNNING), (-5, RunState.RUNNING), (1e4, RunState.INTERRUPTED)])
def test_state_of_a_run_elsewhere_by_its_last_sign(store, age, state):
    """Of a clock that was set back, too: signs far in the future are of the dead."""
    for sign in (1, -1):
        folder = held_by(store.path("run"), ELSEWHERE)
        then = time.time() - sign * age
        os.utime(folder / "owner-1.json", (then, then))
        assert [entry.state for entry in survey(store.root).entries] == [state]


def test_a_suspended_owner_is_named_alive_here(tmp_path):
    """It may wake: on this machine it can be asked, so that it is never taken for dead."""
    folder, held = tmp_path / "run", PROCESSES.Event()
    process = start(hold, folder, held)
    assert held.wait(60)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        assert try_claim(folder, patience=0.2)[0] is None
    finally:
        process.kill()
        process.join()


def test_release_is_of_its_own_number_only(tmp_path):
    Lease(held_by(tmp_path / "run", ELSEWHERE, number=5), 4).release(done=True)
    assert highest(tmp_path / "run") == 5


def test_a_process_that_is_dead_and_not_yet_reaped_is_gone():
    process = subprocess.Popen(["sleep", "60"])
    assert _birth(process.pid) > 0
    process.kill()
    wait_for(lambda: _birth(process.pid) == -1)
    process.wait()


def test_a_number_that_somebody_has_passed_meanwhile_is_no_lease(tmp_path, monkeypatch):
    def overtaken(path, data, **below):
        held_by(tmp_path / "run", ELSEWHERE, number=2)
        return create_exclusively(path, data, **below)

    monkeypatch.setattr(module, "create_exclusively", overtaken)
    assert module.try_to_claim(tmp_path / "run", sign=None, dead=False) is None
