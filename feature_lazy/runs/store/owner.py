"""A process that trains runs, so that another one can tell whether it still does."""

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Owner:
    """A process that trains, or has trained, a run.

    Attributes:
        host: its machine.
        pid: its process id.
        birth: when the process started, in ticks since the machine did; tells it from a later one with its number.
        machine: this start of this machine and its process numbers: only within one can a pid be asked for.
        job: SLURM job id, of a task of an array ``ARRAY_TASK``; or empty.
        restart: how often SLURM has restarted the job.
        released: whether it gave the run back.
    """

    host: str
    pid: int
    birth: int
    machine: str
    job: str = ""
    restart: int = 0
    released: bool = False

    def __str__(self) -> str:
        """How a person finds it."""
        return f"process {self.pid} on {self.host}" + (f" (SLURM job {self.job})" if self.job else "")

    def is_me(self) -> bool:
        """Whether it is the process that asks."""
        return self.machine == this_process().machine and (self.pid, self.birth) == (os.getpid(), _birth(os.getpid()))

    def surely_dead(self) -> bool:
        """Whether it is known to have ended, without waiting."""
        if self.released:
            return True
        me = this_process()
        if self.job and self.job == me.job and self.restart < me.restart:
            return True
        return self.machine == me.machine and _birth(self.pid) != self.birth

    def surely_alive(self) -> bool:
        """Whether it is known to run, without waiting."""
        return not self.released and self.machine == this_process().machine and _birth(self.pid) == self.birth


def this_process() -> Owner:
    """The process that asks."""
    pid = os.getpid()
    return Owner(
        host=socket.gethostname(),
        pid=pid,
        birth=_birth(pid),
        machine=_machine(),
        job=slurm_job(),
        restart=int(os.environ.get("SLURM_RESTART_COUNT", "0") or 0),
    )


def slurm_job() -> str:
    """The SLURM job that this process is part of, as the queue shows it; empty outside of one."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID", "") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{socket.gethostname()}:{os.uname().sysname}"


def _birth(pid: int) -> int:
    """Start of a process in clock ticks since the machine started, −1 if it is gone or dead and not yet reaped.

    From /proc and not as a date, which moves when somebody sets the clock.
    """
    try:
        # The name of the command, in parentheses, may hold anything; the state follows it.
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return -1 if state in "ZX" else int(rest[18])
    except (OSError, ValueError, IndexError):
        return _birth_without_proc(pid)


def _birth_without_proc(pid: int) -> int:
    if Path("/proc/self/stat").exists():
        return -1
    import psutil

    try:
        return round(psutil.Process(pid).create_time())
    except psutil.Error:
        return -1
