"""A system's sweep, trained as any other, and what its laws say of it."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from feature_lazy.launch.train import main
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.law import KINDS, Joined, Law, declared
from feature_lazy.study.laws import readings
from feature_lazy.study.table import in_common, parts
from feature_lazy.study.verdict import Reading
from feature_lazy.systems.table import System


def train(arguments: Sequence[str]) -> bool:
    """Train what is not done with the launcher that is chosen; whether no job failed."""
    before = sys.argv
    sys.argv = ["train.py", *arguments]
    try:
        return main() == 0
    except SystemExit as error:  # how Hydra ends after a failed job, which it has told of
        return not error.code
    finally:
        sys.argv = before


def unfinished(folder: Path) -> str:
    """How many of the runs that were asked for are not done, such as those that wait on a cluster; empty: none."""
    found = survey(folder)
    left = len(found.entries) - len(found.having(RunState.DONE))
    return f"{left} of {len(found.entries)} runs are not done" if left else ""


def judge(system: System, folder: Path) -> list[Reading]:
    """What the laws of a system say of the runs in a folder, in the order of its row.

    Raises:
        StoreError: no complete run, or a damaged one.
    """
    known = {law.name: law for law in declared() if law.paper == system.paper}
    return [row for claim in system.laws for row in _of_kinds(known[claim.law], folder)]


def _of_kinds(law: Law, folder: Path) -> list[Reading]:
    """What one law says of each kind of runs that has what it needs, or of all kinds together if it joins them.

    What it says alike of several kinds, since they differ in nothing that it asks for, is said once, of what they have
    in common.
    """
    tables = parts(folder, mixed=() if isinstance(law.across, Joined) else (law.across,))
    if law.across == KINDS or isinstance(law.across, Joined):
        return readings(law, pd.concat(tables.values(), ignore_index=True))
    rows = [(row, kind) for kind, table in tables.items() for row in readings(law, table)]
    told: dict[tuple[str, str, Estimate], list[tuple[Reading, str]]] = {}
    for row, kind in rows:
        if row.estimate is not None:
            told.setdefault((row.name, row.where, row.estimate), []).append((row, kind))
    return [_of(alike) for alike in told.values()] or [_of([row]) for row in rows[:1]]


def _of(alike: Sequence[tuple[Reading, str]]) -> Reading:
    """What is said alike of some kinds, with the settings that all of their names have."""
    row = alike[0][0]
    return replace(row, where="; ".join(filter(None, (row.where, in_common([kind for _, kind in alike])))))
