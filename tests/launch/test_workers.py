"""Processes that die: what killed them is known, whoever waited for them first."""

import os
import signal

import pytest

from feature_lazy.launch import parallel
from feature_lazy.launch.workers import WorkerDiedError, Workers, exit_code
from feature_lazy.runs.job import Job
from feature_lazy.runs.reading import ERROR
from feature_lazy.runs.store import Store
from feature_lazy.settings.cells import cells


class Reaped:
    """A process that another thread has waited for, and whose exit code that thread writes down a little later."""

    def __init__(self, reads):
        self.reads, self.joined = reads, False

    def join(self, timeout):
        self.joined = True

    @property
    def exitcode(self):
        self.reads -= 1
        return None if self.reads > 0 else -signal.SIGKILL


def test_an_exit_code_that_another_thread_is_about_to_write_is_waited_for():
    process = Reaped(5)
    assert exit_code(process) == -signal.SIGKILL
    assert process.joined
    assert exit_code(Reaped(10**9), patience=0.05) is None


def test_a_killed_worker_names_its_signal():
    with Workers(1) as workers, pytest.raises(WorkerDiedError, match="died of SIGKILL"):
        workers.run(_end)


@pytest.mark.parametrize(("number", "failed"), [(signal.SIGKILL, True), (signal.SIGTERM, False)])
def test_a_job_whose_process_was_asked_to_stop_has_not_failed(number, failed, tiny, monkeypatch):
    config = tiny()
    [cell] = cells(config)
    monkeypatch.setattr(parallel, "work", {signal.SIGKILL: _end, signal.SIGTERM: _stop}[number])
    [said] = parallel.train_all([Job(config, (cell.run_id,))], 1)
    assert said.startswith(f"the worker process died of {number.name}")
    assert (Store(config.output_dir).path(cell.run_id) / ERROR).exists() is failed


def _stop(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)


def _end(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
