"""Whatever stops a job, its run goes on from its checkpoint and ends as if nothing had happened, bit for bit."""

import os
import signal
import subprocess

import pytest

from feature_lazy.runs.reading import load_run
from tests.processes import science, train
from tests.slurm.cluster import call, sbatch, squeue, wait_until
from tests.slurm.sweeps import CPU, JOB, THEIRS, configuration, finished, job_of, states, submissions, their_folder

RUN = (*THEIRS, "dynamics.stepper=article", "dynamics.eps_gradient=1e-2", "alpha.value=2", "checkpoint_every=1")
ONE = ("-m", *CPU, "hydra.launcher.wait=false", *RUN)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The run as one process trains it on this machine, without waiting in each pass."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(their_folder(folder)))
        train(configuration(*RUN, f"output_dir={folder / 'results'}"))
    return science(folder / "results")


@pytest.fixture
def running(tmp_path, train_py, monkeypatch):
    """A call that submits a run whose passes take a while, and waits until it has kept a state."""
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    folder = tmp_path / "results"

    def submit(*overrides, seconds=0.02):
        monkeypatch.setenv("PASS_SECONDS", str(seconds))
        done = train_py(folder, *ONE, *overrides)
        assert done.returncode == 0, done.stdout + done.stderr
        wait_until(lambda: list(folder.glob("runs/*/checkpoint-*")) != [], 60, "the run keeps a state")
        return folder, job_of(folder)

    return submit


def check(folder, uninterrupted, starts, seconds=120):
    """It is done, was begun so often, and its history and outputs are those of the uninterrupted run."""
    wait_until(lambda: finished(folder) != set(), seconds, "the run is done")
    # Its checkpoints go after it is done, and its job after that.
    wait_until(lambda: set(states(folder).values()) == {"COMPLETED"}, 30, "the accounting says COMPLETED")
    assert science(folder) == uninterrupted
    [run] = [load_run(path.parent) for path in folder.glob("runs/*/done")]
    assert len(run.provenance["segments"]) >= starts
    assert len(submissions(folder)) == 1


def test_requeue_by_an_operator(running, uninterrupted):
    folder, job = running()
    call("scontrol", "requeue", job)
    check(folder, uninterrupted, starts=2)


def test_submitits_signal(running, uninterrupted):
    folder, job = running()
    call("scancel", "--signal=USR2", job)
    wait_until(lambda: "PENDING" in squeue_of(job), 30, "submitit puts it back into the queue")
    check(folder, uninterrupted, starts=2)


def squeue_of(job):
    return call("squeue", "-h", "-j", job, "-o", "%T").split()


def test_real_time_limit_of_a_minute(running, uninterrupted):
    # 700 passes: 50 s, and the signal comes after 40 at the latest.
    folder, _ = running("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20", seconds=0.07)
    check(folder, uninterrupted, starts=2, seconds=240)


@pytest.mark.usefixtures("whole_cluster")
def test_preemption_by_a_partition_of_higher_priority(running, uninterrupted):
    folder, job = running()
    greedy = sbatch("sleep 12", "--partition=high", "--nodes=2", "--exclusive")
    wait_until(lambda: squeue_of(greedy) == ["RUNNING"], 60, "the job of higher priority runs")
    assert "RUNNING" not in squeue_of(job)
    check(folder, uninterrupted, starts=2)


@pytest.mark.usefixtures("whole_cluster")
def test_node_that_dies_without_a_signal(running, uninterrupted):
    folder, job = running()
    node = call("squeue", "-h", "-j", job, "-o", "%N").strip()
    call("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        wait_until(lambda: "RUNNING" not in squeue_of(job), 60, "the job leaves the dead node")
    finally:
        resume(node)
    wait_until(lambda: held_or_running(job), 30, "the job is in the queue again")
    subprocess.run(["scontrol", "release", job], check=False, capture_output=True)
    check(folder, uninterrupted, starts=2)
    # Its daemon lives and had the job still, so SLURM may have drained it when the job came back.
    wait_until(lambda: resume(node) == "idle", 30, "the node is whole again")


def resume(node):
    """A node comes back by itself if its daemon answers first; its state."""
    subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False, capture_output=True)
    return call("sinfo", "-h", "-N", "-n", node, "-p", "main", "-o", "%T").strip()


def held_or_running(job):
    """SLURM holds a job whose node failed, sooner or later."""
    reason = call("squeue", "-h", "-j", job, "-o", "%T %r").lower()
    return "held" in reason or "running" in reason


def test_killed_process_is_named_and_retry_ends_it(running, uninterrupted, cli):
    folder, job = running()
    [run] = [load_run(path.parent) for path in folder.glob("runs/*/manifest.json")]
    os.kill(run.provenance["segments"][-1]["pid"], signal.SIGKILL)
    wait_until(lambda: job not in call("squeue", "-h", "-r", "-o", "%i").split(), 60, "the job is over")
    status = cli("status", folder)
    assert status.returncode == 1
    assert "1 failed" in " ".join(status.stdout.split())
    assert f"SLURM job {job}" in " ".join(status.stdout.split())
    assert cli("retry", folder, "--wait").returncode == 0
    assert science(folder) == uninterrupted
    assert len(submissions(folder)) == 2


def test_killed_parent_loses_nothing(tmp_path, start_train_py, uninterrupted, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    folder = tmp_path / "results"
    parent = start_train_py(folder, "-m", *CPU, *RUN, PASS_SECONDS="0.02")
    wait_until(lambda: any(one["jobs"] for one in submissions(folder)), 60, "the job is submitted")
    parent.send_signal(signal.SIGKILL)
    check(folder, uninterrupted, starts=1)


def test_interrupted_parent_leaves_the_jobs_alone(tmp_path, start_train_py, test_key, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    folder = tmp_path / "results"
    parent = start_train_py(folder, "-m", *CPU, *RUN, "+hydra.launcher.additional_parameters.hold=true")
    wait_until(lambda: squeue(test_key) != {}, 60, "the job is submitted")
    wait_until(lambda: any(one["jobs"] for one in submissions(folder)), 30, "and written down")
    parent.send_signal(signal.SIGINT)
    output, _ = parent.communicate(timeout=60)
    assert "The jobs go on" in output
    assert set(squeue(test_key).values()) == {"PENDING"}


def test_job_that_times_out_without_progress_ends_with_the_reason(tmp_path, train_py, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    monkeypatch.setenv("PASS_SECONDS", "30")
    folder = tmp_path / "results"
    short = ("hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20", "hydra.launcher.max_num_timeout=0")
    done = train_py(folder, "-m", *CPU, *short, *RUN)
    assert done.returncode != 0
    assert "ran out of its 1 minutes 1 times without getting further" in " ".join(done.stdout.split())
    assert set(states(folder).values()) == {"FAILED"}


def test_run_that_a_budget_stops_is_no_failure(tmp_path, train_py, cli):
    folder = tmp_path / "results"
    done = train_py(folder, "-m", *CPU, *JOB, "dynamics.max_steps=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(folder.glob("runs/*/error.txt")) == []
    assert "1 stopped: max_steps" in " ".join(cli("status", folder).stdout.split())
