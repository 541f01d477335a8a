"""What tests ask of SLURM, by its own commands."""

import subprocess
import time
from collections.abc import Callable, Iterable

NAME = "feature_lazy_testbed"
KEY = "SBATCH_WCKEY"
"""By this variable every job that a test submits carries the test's key, also where submitit names another."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED"}


def call(*command: str) -> str:
    """Standard output of a command that must succeed, within a minute."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def setting(name: str) -> str:
    """A value of the cluster's configuration, as ``scontrol show config`` gives it; empty if it has no such line."""
    for line in call("scontrol", "show", "config").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == name:
            return value.strip()
    return ""


def absent() -> str | None:
    """Why no test may run here: the cluster of the tests does not answer. A site's own cluster is never touched."""
    try:
        name = setting("ClusterName")
    except (OSError, AssertionError, subprocess.TimeoutExpired) as error:
        return f"no SLURM answers ({error})"
    return None if name == NAME else f"the cluster here is {name} and not {NAME}"


def sbatch(script: str, *options: str) -> str:
    """Submit the lines of a shell script; the job's id."""
    return call("sbatch", "--parsable", "--output=%x-%A_%a.out", *options, f"--wrap={script}").strip()


def sacct_states(job_ids: Iterable[str]) -> dict[str, str]:
    """State of each job by id, and of each task of an array as ``7_0``, from the accounting: ``FAILED``, …"""
    rows = call("sacct", "-X", "-n", "-P", "--jobs", ",".join(job_ids), "--format=JobID,State").splitlines()
    # "CANCELLED by 1000" says by whom.
    return {row.split("|")[0]: row.split("|")[1].split()[0] for row in rows}


def squeue(key: str) -> dict[str, str]:
    """State of each job with a test's key that is still in the queue, by id: ``RUNNING``, ``PENDING``, …"""
    rows = [line.split("|") for line in call("squeue", "--noheader", "--array", "--format=%i|%T|%w").splitlines()]
    return {job: state for job, state, owner in rows if owner == key}


def wait_until(predicate: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask four times a second until something holds; after so many seconds the test fails and says what did not."""
    end = time.monotonic() + seconds
    while not predicate():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.25)


def wait_for_end(job_id: str, seconds: float = 60, tasks: int = 1) -> dict[str, str]:
    """Wait until a job, or all tasks of an array, have left the queue and the accounting knows how; their states."""

    def ended() -> bool:
        # The accounting alone would take a job that waits for its next start for one that has ended, PREEMPTED.
        queued = job_id in call("squeue", "--noheader", "--format=%F").split()
        states = sacct_states([job_id])
        return not queued and len(states) == tasks and set(states.values()) <= ENDED

    wait_until(ended, seconds, f"job {job_id} ends")
    return sacct_states([job_id])


def cancel_all(key: str) -> None:
    """Kill all jobs with a test's key, and wait until none is left."""
    call("scancel", f"--wckey={key}")
    call("scancel", "--signal=KILL", "--full", "--quiet", f"--wckey={key}")
    wait_until(lambda: not squeue(key), 60, f"jobs of {key} are cancelled")
