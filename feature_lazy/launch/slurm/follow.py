"""Waiting for jobs: what waits, what runs, what is held, and which are over."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection

from feature_lazy.launch.slurm.programs import SlurmError
from feature_lazy.launch.slurm.queue import JobState, ended_jobs, live_jobs

log = logging.getLogger(__name__)
SOONEST, LATEST = 2.0, 30.0
"""Seconds between two questions to SLURM: a fiftieth of the time waited so far, within these."""
CERTAIN = 2
"""How often in a row a job must be missing from the queue: one answer may come from a controller that is starting."""
LAG = 30.0
"""Seconds that the accounting may be behind the queue."""
SAY_EVERY = 60.0
"""Seconds between two lines about the queue."""


def follow(job_ids: Collection[str], over: Callable[[str], None]) -> dict[str, JobState]:
    """Wait until jobs are over, put back into the queue by whomever or not, and return how each ended.

    Args:
        job_ids: SLURM's ids.
        over: told of every job that is over, once.
    """
    missing = dict.fromkeys(job_ids, 0)
    teller = _Teller()
    begin = time.monotonic()
    while missing:
        try:
            live = live_jobs()
        except SlurmError as error:
            teller.say(f"{error} Waiting goes on.")
        else:
            missing = {job: 0 if job in live else missing[job] + 1 for job in missing}
            for job in [job for job, times in missing.items() if times >= CERTAIN]:
                del missing[job]
                over(job)
            teller.say(summary([live[job] for job in missing if job in live]))
        if missing:
            time.sleep(min(LATEST, max(SOONEST, (time.monotonic() - begin) / 50)))
    return endings(job_ids)


def endings(job_ids: Collection[str]) -> dict[str, JobState]:
    """How jobs that have left the queue ended; the accounting is given ``LAG`` to hear of it."""
    end = time.monotonic() + LAG
    while True:
        try:
            ended = ended_jobs(job_ids)
        except SlurmError:
            return dict.fromkeys(job_ids, JobState())
        if len(ended) == len(set(job_ids)) or time.monotonic() > end:
            return {job: ended.get(job, JobState()) for job in job_ids}
        time.sleep(SOONEST)


def summary(jobs: Collection[JobState]) -> str:
    """How many jobs run and wait, and why; empty without any."""
    counts = Counter(job.name if job.name == "RUNNING" else str(job) for job in jobs)
    parts = [f"{count} {name}" for name, count in counts.most_common(4)]
    stuck = any(job.stuck for job in jobs)
    advice = "; some will not start as they are: scontrol release JOB if they are held, else cancel and change them"
    return ", ".join(parts) + (advice if stuck else "")


class _Teller:
    """Says what changes, and not too often."""

    def __init__(self) -> None:
        self.last, self.when = "", float("-inf")

    def say(self, text: str) -> None:
        if text and text != self.last and time.monotonic() - self.when >= SAY_EVERY:
            log.info("SLURM: %s", text)
            self.last, self.when = text, time.monotonic()
