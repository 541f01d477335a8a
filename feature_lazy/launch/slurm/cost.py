"""What a sweep will cost: roughly, from runs that are done in the same folder if there are any."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.words import counted
from feature_lazy.runs.survey import RunState, survey

GRADIENTS = 250.0
"""Gradients of a run to convergence, with what else it computes: benchmarks/results/solvers.md has 26 to 469."""
RATE = {"cpu": 1e10, "cuda": 2e12}
"""Floating point operations a second that a small network sustains in double precision, of one core and of a GPU."""
START_UP = 10.0
"""Seconds that a job takes before it trains: PyTorch is loaded from a network file system."""


def work(columns: Mapping[str, Any]) -> float:
    """Operations of one gradient, up to a factor: 6·P·(L·h² + d·h), with d = 10³ because the data are not loaded."""
    h, depth = float(columns.get("h") or 1), float(columns.get("L") or 3)
    return 6.0 * float(columns["P"]) * (depth * h**2 + 1e3 * h)


class Costs:
    """Seconds of runs."""

    def __init__(self, root: Path, device: str) -> None:
        """Learn from the complete runs of a results folder, if it has any."""
        self.known = [seconds / work(columns) for seconds, columns in _done(root)]
        kind = device.partition(":")[0]
        self.per_operation = statistics.median(self.known) if self.known else GRADIENTS / RATE.get(kind, RATE["cpu"])

    def __str__(self) -> str:
        """Where the numbers come from."""
        if self.known:
            return f"scaled from {counted(len(self.known), 'run')} done here, by P·(L·h² + d·h)"
        return f"a guess of {GRADIENTS:g} gradients for each run; it gets better when some runs are done"

    def seconds(self, columns: Sequence[Mapping[str, Any]], side_by_side: int) -> float:
        """Wall time of a job that trains some cells."""
        return START_UP + sum(self.per_operation * work(one) for one in columns) / min(side_by_side, len(columns))


def _done(root: Path) -> list[tuple[float, Mapping[str, Any]]]:
    try:
        entries = survey(root).having(RunState.DONE)
    except StoreError:
        return []
    return [(entry.seconds, entry.columns) for entry in entries if entry.seconds and entry.columns.get("P")]
