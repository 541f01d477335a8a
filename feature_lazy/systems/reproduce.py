"""A system's sweep, trained as any other, and what its laws say of it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from feature_lazy.launch.train import main
from feature_lazy.study.law import declared
from feature_lazy.study.laws import readings
from feature_lazy.study.table import parts
from feature_lazy.study.verdict import Reading
from feature_lazy.systems.table import LAPTOP, REPLICATION, System

RESULTS = Path("results/systems")


def folder_of(system: System, size: str = LAPTOP, *, replication: bool = False) -> Path:
    """Where the runs of a sweep lie: apart for each size, and for the replication."""
    words = [system.folder, *([size] if size != LAPTOP else []), *([REPLICATION] if replication else [])]
    return RESULTS / "-".join(words)


def command_line(system: System, size: str, folder: Path, more: Sequence[str], *, replication: bool) -> list[str]:
    """What ``train.py`` is called with; what is given beside counts, as the last on a command line does."""
    return ["-m", *system.overrides(size, replication=replication), f"output_dir={folder}", *more]


def train(arguments: Sequence[str]) -> bool:
    """Train what is not done with the launcher that is chosen; whether all jobs came to their end or were submitted."""
    before = sys.argv
    sys.argv = ["train.py", *arguments]
    try:
        return main() == 0
    except SystemExit as error:  # how Hydra ends after a failed job, which it has told of
        return not error.code
    finally:
        sys.argv = before


def judge(system: System, folder: Path) -> list[Reading]:
    """What the laws of a system say of the runs in a folder, in the order of its row.

    Raises:
        StoreError: no complete run, or a damaged one.
    """
    known = {law.name: law for law in declared() if law.paper == system.paper}
    tables = parts(folder)
    return [row for claim in system.laws for table in tables.values() for row in readings(known[claim.law], table)]
