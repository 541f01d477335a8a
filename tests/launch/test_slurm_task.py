"""What a SLURM job does when it is told to stop, in processes that tests may signal; no SLURM is needed."""

import os
import signal
import sys
import time
from dataclasses import asdict

import pytest

from feature_lazy.launch.slurm.task import JOB_START, JobFailedError, StalledError, Task
from feature_lazy.runs.progress import PROGRESS_FILE
from feature_lazy.runs.stopping import DEADLINE
from feature_lazy.settings.cells import cells
from tests.processes import start, there, wait_for

REQUEUED = 7
"""Exit status by which the handler of a test says that it was called, where submitit would requeue the job."""


def handle(number, frame):
    os._exit(REQUEUED)


def ignore(number, frame):
    """What submitit does with SIGTERM."""


def job(task, *, late=False):
    """Run a task under handlers such as submitit's; with late signal the process when all is done."""
    signal.signal(signal.SIGUSR2, handle)
    signal.signal(signal.SIGTERM, ignore)
    task()
    if late:
        os.kill(os.getpid(), signal.SIGUSR2)
        sys.exit(0)


@pytest.fixture
def task(tiny, tmp_path):
    """A call that makes a task of some jobs, each with more overrides."""

    def make(*jobs, **settings):
        configs = [tiny(*overrides) for overrides in jobs]
        values = {"side_by_side": 1, "timeout_min": 60, "signal_delay_s": 2, "patience": 2, **settings}
        ids = [tuple(cell.run_id for cell in cells(config)) for config in configs]
        return Task([asdict(c) for c in configs], ids, progress_file=str(tmp_path / "progress.json"), **values)

    return make


SLOW = ("dynamics.stepper=article", "dynamics.eps_gradient=1e-8", "checkpoint_every=0.2")
QUICK = ("alpha.value=10", "dynamics.stepper=article", "dynamics.eps_gradient=1e-2")


@pytest.fixture
def started(task, tmp_path):
    """A call that begins a task, and waits until each of its runs has kept a state."""

    def begin(*jobs, **settings):
        process = start(job, task(*jobs, **settings))
        wait_for(lambda: len({p.parent for p in there(tmp_path, "results/runs/*/checkpoint-*")}) == len(jobs))
        return process

    return begin


def test_signal_that_comes_when_all_is_stored_does_not_fail_the_job(task):
    process = start(job_late, task(QUICK))
    process.join(60)
    assert process.exitcode == 0


def job_late(task):
    job(task, late=True)


@pytest.mark.parametrize("jobs", [[SLOW], [(*SLOW, "seed.value=1"), (*SLOW, "seed.value=2")]], ids=["one", "pack"])
def test_submitits_signal_reaches_its_handler(started, jobs):
    process = started(*jobs, side_by_side=2)
    os.kill(process.pid, signal.SIGUSR2)
    process.join(60)
    assert process.exitcode == REQUEUED


@pytest.mark.parametrize("jobs", [[SLOW], [(*SLOW, "seed.value=1"), (*SLOW, "seed.value=2")]], ids=["one", "pack"])
def test_after_sigterm_it_waits_for_what_slurm_does_next(started, jobs):
    process = started(*jobs, side_by_side=2, signal_delay_s=60)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(4)
    assert process.exitcode is None  # ended of itself it would count as failed
    os.kill(process.pid, signal.SIGUSR2)
    process.join(60)
    assert process.exitcode == REQUEUED


def test_after_sigterm_alone_it_asks_for_its_next_turn_itself(started):
    process = started(SLOW, signal_delay_s=1)
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    assert process.exitcode == REQUEUED


def test_job_that_is_never_told_stops_by_itself_before_its_end(started):
    """Half of the delay before the end: 0.1 minutes, less 2 s of 4."""
    process = started((*SLOW, "checkpoint_margin=60"), timeout_min=0.1, signal_delay_s=4)
    process.join(60)
    assert process.exitcode == REQUEUED  # done, which takes minutes, it would be 0


def test_time_outs_without_progress_end_with_the_reason(task, tmp_path):
    stalled = task(QUICK, timeout_min=1, signal_delay_s=10)
    for times in (0, 1, 2):
        stalled = stalled.checkpoint().function
        assert stalled.stalled == times
    with pytest.raises(StalledError, match=r"ran out of its 1 minutes 3 times.*hydra\.launcher\.timeout_min"):
        stalled.checkpoint()
    [error] = tmp_path.glob("results/runs/*/error.txt")
    assert "without getting further" in error.read_text()


def test_progress_forgives_earlier_time_outs(task, started):
    stalled = task(SLOW, timeout_min=1, signal_delay_s=10)
    for _ in range(3):
        stalled = stalled.checkpoint().function
    assert stalled.stalled == 2
    process = started(SLOW)
    wait_for(lambda: stalled._progress() > 0)  # the first state may be that before the first step
    process.kill()
    process.join()
    assert stalled.checkpoint().function.stalled == 0


def test_preemptions_are_not_counted(task):
    patient = task(QUICK)
    patient.started = time.time()
    for _ in range(9):
        patient = patient.checkpoint().function
    assert patient.stalled == 0


def test_source_that_has_changed_is_refused(task):
    changed = task(QUICK)
    changed.run_ids = [("0123456789abcdef",)]
    process = start(job, changed)
    process.join(60)
    assert process.exitcode == 1


def test_failures_of_a_pack_are_told_together(task, tmp_path, monkeypatch):
    # Two runs whose α float32 cannot resolve, and one that trains.
    impossible = ("dtype=float32", "alpha.value=1e12", *QUICK[1:])
    failing = task(QUICK, (*impossible, "seed.value=1"), (*impossible, "seed.value=2"))
    for name in (DEADLINE, JOB_START, PROGRESS_FILE):
        monkeypatch.setenv(name, "")  # the task sets them, for a process that it has to itself
    monkeypatch.setattr("feature_lazy.core.redaction.log_lines", lambda: None)
    with pytest.raises(JobFailedError, match="2 of 3 failed"):
        failing()
    assert len(list(tmp_path.glob("results/runs/*/done"))) == 1
    assert len(list(tmp_path.glob("results/runs/*/error.txt"))) == 2
