"""Signals and the end of a job's time: the state is kept, whoever listened before is heard, and nothing is lost."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch

from feature_lazy.runs.batch import build
from feature_lazy.runs.job import train_config
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.stopping import DEADLINE, SIGNALS, Stop, StoppedError, deadline
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.train import run
from tests.conftest import QUICK, ROOT, TINY
from tests.processes import science, start, train, wait_for

LONG = (*QUICK, "seed=ensemble", "seed.members=2", "dynamics.eps_gradient=1e-5", "observe.per_decade=4")


def observations(folder):
    """Observations of each run that has begun."""
    begun = [path for path in folder.glob("runs/[0-9a-f]*") if (path / "manifest.json").exists()]
    return [len(load_run(path).history.get("t", [])) for path in begun]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR2"])
def test_signal_keeps_the_state_and_ends_the_process(tiny, tmp_path, name):
    whole = tmp_path / "whole"
    train(tiny(*LONG, f"output_dir={whole}"))
    config, results = tiny(*LONG), tmp_path / "results"
    process = start(train, config)
    wait_for(lambda: max(observations(results), default=0) > 12)
    os.kill(process.pid, getattr(signal, name))
    process.join()
    # As a process ends that never listened: Ctrl-C by KeyboardInterrupt, the others by the signal itself.
    assert process.exitcode == (1 if name == "SIGINT" else -getattr(signal, name))
    entries = survey(results).entries
    assert [entry.state for entry in entries] == [RunState.INTERRUPTED] * 2
    assert {entry.run.summary["outcome"] for entry in entries} == {"interrupted"}
    assert all(entry.run.summary["steps"] > 0 for entry in entries)
    train(config)
    assert science(results) == science(whole)
    assert all(len(load_run(path).provenance["segments"]) == 2 for path in results.glob("runs/[0-9a-f]*"))


def test_who_listened_before_is_heard_at_the_end(tiny):
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        experiment = build(tiny(*LONG))
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR2))
        timer.start()
        with pytest.raises(StoppedError, match="Stopped by SIGUSR2: training stopped, and its state is kept"):
            run(experiment)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == [signal.SIGUSR2]


def test_deadline(tiny, monkeypatch):
    monkeypatch.setenv(DEADLINE, str(time.time() + 10.5))
    with pytest.raises(StoppedError, match="The time of this job is over"):
        train_config(tiny(*LONG, "checkpoint_margin=10"))
    monkeypatch.delenv(DEADLINE)
    train_config(tiny(*LONG))


def test_deadline_outside_the_main_thread(tiny, monkeypatch):
    """No signals there; the loop itself looks at the clock."""
    monkeypatch.setenv(DEADLINE, str(time.time()))
    errors = []

    def body():
        torch.set_num_threads(1)
        try:
            train_config(tiny(*LONG))
        except StoppedError as error:
            errors.append(error)

    config = tiny(*LONG)
    thread = threading.Thread(target=lambda: errors.extend(raised(config)))
    thread.start()
    thread.join()
    assert len(errors) == 1


def raised(config):
    try:
        train_config(config)
    except StoppedError as error:
        yield error


def test_deadline_is_what_the_launcher_or_slurm_says(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "100")
    assert deadline() == 100
    monkeypatch.setenv(DEADLINE, "50")
    assert deadline() == 50
    monkeypatch.setenv(DEADLINE, "soon")
    assert deadline() == 100


def test_a_step_is_left_at_once():
    """However long it takes: what it would have made is dropped."""

    went_on = []

    def items():
        yield 1
        time.sleep(60)
        went_on.append(2)
        yield 2

    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR2)).start()
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with pytest.raises(StoppedError), Stop() as stop:
            assert list(stop.over(items())) == [1]
        assert not went_on
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_nothing_is_changed_where_nothing_happens():
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with Stop() as stop:
        assert list(stop.over(iter(range(3)))) == [0, 1, 2]
    assert handlers == [signal.getsignal(number) for number in SIGNALS]


def fail_under_a_signal():
    with Stop():
        os.kill(os.getpid(), signal.SIGUSR2)
        raise ZeroDivisionError


def test_an_error_is_not_hidden_by_a_signal():
    before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        with pytest.raises(ZeroDivisionError):
            fail_under_a_signal()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_sweep_that_is_stopped_keeps_its_state(train_py, tmp_path):
    """SIGTERM to the parent of a sweep reaches the workers; the same command goes on."""
    results = tmp_path / "results"
    job = [sys.executable, "train.py", "-m", *TINY, *LONG, "width.h=8,9", f"output_dir={results}", "threads=1"]
    process = subprocess.Popen(job, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(lambda: max(observations(results), default=0) > 12, seconds=120)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in output
    assert "what was running has kept its state; repeat the command to continue." in output
    kept = [entry for entry in survey(results).entries if entry.state is RunState.INTERRUPTED]
    assert kept, output
    # The other may have been told before its first step: then there is nothing to keep.
    begun = [entry for entry in kept if entry.run is not None and len(entry.run.history.get("t", [])) > 1]
    assert begun
    assert all(list((Path(results) / "runs" / entry.run_id).glob("checkpoint-*")) for entry in begun)
    assert survey(results).having(RunState.RUNNING) == []
    again = subprocess.run(job, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stdout + again.stderr
    assert {entry.state for entry in survey(results).entries} == {RunState.DONE}
