"""Which jobs of a sweep are trained as one batch: those that differ in ``alpha.value`` and the seed alone."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from feature_lazy.runs.job import Job
from feature_lazy.settings.cells import cells
from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Dynamics


def joined(jobs: Sequence[Job], shares: int = 1) -> list[Job]:
    """The same runs in fewer jobs, see ``together``."""
    groups = [[jobs[index] for index in group] for group in together([job.config for job in jobs], shares)]
    return [
        Job(group[0].config, tuple(one for job in group for one in job.run_ids), tuple(job.config for job in group[1:]))
        for group in groups
    ]


def together(configs: Sequence[Config], shares: int = 1) -> list[list[int]]:
    """Indices of the jobs of each batch, in the order of their first ones.

    Args:
        configs: of all jobs of the sweep, those that are done included: a batch that goes on is then what it was.
        shares: processes. Jobs are dealt out to so many batches in turn, so that each has its part of every α.
    """
    kinds: dict[str, list[int]] = {}
    known: set[str] = set()
    for index, config in enumerate(configs):
        kind = _kind(config)
        ids = {cell.run_id for cell in cells(config)} if kind else set()
        # Of two jobs that have a run the second is by itself: one of them finds it done, or left to the other.
        kinds.setdefault(kind if kind and not ids & known else str(index), []).append(index)
        known |= ids
    dealt = [found[share::shares] for found in kinds.values() for share in range(min(shares, len(found)))]
    return sorted(dealt)


def _kind(config: Config) -> str:
    """What the jobs of a batch have in common; empty of a job that is trained by itself.

    A budget of seconds is of one job, the mean that is tracked of one ensemble.
    """
    alone = (
        config.batch == "1"
        or not config.dynamics.several_alpha
        or config.dynamics.time_budget < Dynamics.time_budget
        or any(tracking.averages for tracking in config.tracking.each())
    )
    if alone:
        return ""
    plain = asdict(config)
    del plain["alpha"]["value"], plain["seed"]
    return json.dumps(plain, sort_keys=True)
