"""How jobs stand, in SLURM's words: ``squeue`` for what is to come, ``sacct`` for what is over."""

import os
import pwd
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from feature_lazy.launch.slurm.programs import SlurmError, ask, ranges

OVER = {
    "OUT_OF_MEMORY": "it needed more memory than it had: raise hydra.launcher.mem_gb, or lower memory_limit",
    "TIMEOUT": "its time was over before it could keep its state: raise hydra.launcher.timeout_min or signal_delay_s",
    "NODE_FAIL": "its node failed: feature-lazy retry trains it again from its last checkpoint",
    "BOOT_FAIL": "its node did not start: feature-lazy retry",
    "CANCELLED": "somebody cancelled it: feature-lazy retry trains it again from its last checkpoint",
    "DEADLINE": "it would not have ended before its deadline",
    "PREEMPTED": "other work took its place and it was not put back: set additional_parameters.requeue=true",
    "FAILED": "its log says why; signal 9 without a word there is often the machine that ran out of memory",
}
"""Final states that are not COMPLETED, and what to do."""


NEVER = ("TimeLimit", "NodeLimit", "BadConstraints", "WallDuration", "PartitionDown", "PartitionInactive")
"""Words in the reasons of jobs that will not start as they are."""


@dataclass(frozen=True)
class JobState:
    """A job as SLURM sees it.

    Attributes:
        name: SLURM's word, such as RUNNING; empty if it has forgotten the job.
        live: whether it is, or will be, running.
        reason: why it waits, or how it ended.
        node: where it runs.
    """

    name: str = ""
    live: bool = False
    reason: str = ""
    node: str = ""

    @property
    def stuck(self) -> bool:
        """Whether it waits for a person: held, or such that it can never start."""
        return "held" in self.reason.lower() or any(word in self.reason for word in NEVER)

    def __str__(self) -> str:
        """State and reason, as a person reads them."""
        return f"{self.name or 'over, and SLURM does not know how'}{f' ({self.reason})' if self.reason else ''}"


def live_jobs() -> dict[str, JobState]:
    """The user's jobs that wait or run, by id; an array's as ``123_4``.

    Raises:
        SlurmError: the controller does not answer.
    """
    user = pwd.getpwuid(os.getuid()).pw_name
    found = {}
    for line in ask("squeue", "-h", "-r", "-u", user, "-o", "%i|%T|%r|%N").splitlines():
        job, name, reason, node = line.split("|")[:4]
        found[job] = JobState(name, True, "" if reason == "None" else reason, node)
    return found


def ended_jobs(job_ids: Collection[str]) -> dict[str, JobState]:
    """How jobs ended, by id, as far as SLURM keeps account of it; of a requeued one the last time.

    The accounting lags: of a job that it thinks is running still, it does not know yet how it ended.

    Raises:
        SlurmError: there is no accounting here.
    """
    numbers = sorted({int(job.partition("_")[0]) for job in job_ids})
    found: dict[str, JobState] = {}
    text = ask("sacct", "-n", "-P", "-j", ",".join(map(str, numbers)), "-o", "JobID,State,ExitCode,NodeList")
    for line in text.splitlines():
        if line.count("|") < 3:
            continue
        name, state, exit_code, node = line.split("|")[:4]
        job, _, step = name.partition(".")
        if not step:
            state_of_all = JobState(state.split(" ")[0], False, _exit(exit_code), node)
            found |= {one: state_of_all for one in expanded(job) if one in job_ids}
        elif job in found and step == "0":  # the step that submitit starts
            found[job] = _with_step(found[job], state.split(" ")[0], _exit(exit_code))
    return {job: state for job, state in found.items() if state.name in OVER or state.name == "COMPLETED"}


def _with_step(job: JobState, state: str, reason: str) -> JobState:
    """A failed job by what became of its only step: of the whole job SLURM says no more than that srun failed."""
    if job.name != "FAILED":
        return job
    name = state if state in ("OUT_OF_MEMORY", "NODE_FAIL") else job.name
    return replace(job, name=name, reason="" if name != job.name else reason or job.reason)


def states(job_ids: Collection[str]) -> dict[str, JobState]:
    """How jobs stand, by id.

    Raises:
        SlurmError: the controller does not answer.
    """
    live = live_jobs()
    gone = {job for job in job_ids if job not in live}
    try:
        ended = ended_jobs(gone) if gone else {}
    except SlurmError:
        ended = {}
    return {job: live.get(job) or ended.get(job, JobState()) for job in job_ids}


def story(state: JobState) -> str:
    """What to say of a job that is over and whose runs are not done."""
    return f"{state}{f': {advice}' if (advice := OVER.get(state.name)) else ''}"


def compact(job_ids: Collection[str]) -> str:
    """Ids as SLURM's programs take them: 12,15_[0-3,7]."""
    arrays: dict[str, list[int]] = {}
    for job in job_ids:
        number, _, index = job.partition("_")
        arrays.setdefault(number, []).extend([int(index)] if index else [])
    return ",".join(f"{n}_[{ranges(i)}]" if i else n for n, i in sorted(arrays.items(), key=lambda item: int(item[0])))


def expanded(job: str) -> list[str]:
    """The ids that SLURM means by one, as it writes those of an array that never started: ``15_[0-3,6-10:2%2]``."""
    number, bracket, rest = job.partition("_[")
    if not bracket:
        return [job]
    found = []
    for part in rest.partition("]")[0].partition("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        found += [f"{number}_{index}" for index in range(int(first), int(last or first) + 1, int(step or 1))]
    return found


def _exit(code: str) -> str:
    """``0:9`` is a signal, ``1:0`` a status."""
    found = re.fullmatch(r"(\d+):(\d+)", code)
    status, number = (int(found[1]), int(found[2])) if found else (0, 0)
    if number:
        return f"signal {number}"
    if status > 128:
        return f"signal {status - 128}"
    return f"exit status {status}" if status else ""
