"""What a sweep on this machine will take: from runs that are done in its folder, else from the first steps of a job."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.words import counted
from feature_lazy.launch.slurm.cost import GRADIENTS, Costs, work
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.config import Config

if TYPE_CHECKING:
    from feature_lazy.runs.costing import StepCost

OBSERVATIONS = 40
"""Of a run to convergence: eight a decade over five decades."""
USUAL, PER_DECADE = 1e-2, 0.57
"""Tolerance of ``GRADIENTS``, and how many of them ten times the tolerance leaves: measured on digits, P = 100, h = 30
and 100, √h·α = 0.01 … 10⁴, median of 0.32 … 0.89; a third order method alone would leave 10^(−1/3) = 0.46."""
LOOSEST = 0.1
"""Tolerance up to which errors have been measured: benchmarks/results/solvers.md."""
WORTH = 60.0
"""Seconds from which on a larger tolerance is worth a word."""


@dataclass(frozen=True)
class Estimate:
    """Wall time of a sweep.

    Attributes:
        seconds: of all of it.
        runs: how many.
        source: where it comes from.
        tolerance: of its dynamics; None: it has none, or several.
    """

    seconds: float
    runs: int
    source: str
    tolerance: float | None = None

    def __str__(self) -> str:
        """For people."""
        text = f"{counted(self.runs, 'run')} ≈ {about(self.seconds)} here, {self.source}"
        if self.tolerance is None or self.seconds < WORTH or self.tolerance > LOOSEST / 10 * (1 + 1e-9):
            return text
        return f"{text}; dynamics.tolerance={10 * self.tolerance:g} would make it {about(PER_DECADE * self.seconds)}"


def about(seconds: float) -> str:
    """A duration in one number of two digits, for what is known within a factor of two."""
    for size, name in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {name}"
    return f"{max(1.0, float(f'{seconds:.2g}')):g} s"


def estimate(
    jobs: Sequence[tuple[Config, Sequence[Cell]]], n_jobs: int, measure: "Callable[[Config], StepCost]"
) -> Estimate | None:
    """Wall time of some jobs; None where nothing is known of how many steps they take.

    Args:
        jobs: configurations, and their cells that are not done.
        n_jobs: how many are trained at once.
        measure: asked for the smallest and the largest job, unless the folder has runs that are done.
    """
    config = jobs[0][0]
    columns: list[list[Any]] = [[cell.columns for cell in cells] for _, cells in jobs]
    tolerances = {_tolerance(one) for one, _ in jobs}
    tolerance = next(iter(tolerances)) if len(tolerances) == 1 else None
    costs = Costs(Path(config.output_dir), config.device)
    runs = sum(map(len, columns))
    if costs.known:
        each = [sum(costs.per_operation * work(one) for one in cells) for cells in columns]
        source = f"by the {counted(len(costs.known), 'run')} done in this folder"
        return Estimate(_side_by_side(each, n_jobs), runs, source, tolerance)
    if None in tolerances:
        return None
    by_work = {work(cells[0]): index for index, cells in enumerate(columns)}
    measured = {by_work[size]: measure(jobs[by_work[size]][0]) for size in {min(by_work): 0, max(by_work): 0}}
    each = [
        len(cells) * _gradients(one) * _between(work(cells[0]), columns, measured, "gradient")
        + OBSERVATIONS * _between(work(cells[0]), columns, measured, "observation")
        for (one, _), cells in zip(jobs, columns, strict=True)
    ]
    source = f"by the first steps of {counted(len(measured), 'job')} and about {_gradients(config):.0f} gradients a run"
    return Estimate(_side_by_side(each, n_jobs), runs, source, tolerance)


def _tolerance(config: Config) -> float | None:
    """That of the steps; None of dynamics that have none, and of the article's rule, which has another."""
    dynamics = config.dynamics
    return None if getattr(dynamics, "stepper", "") == "article" else getattr(dynamics, "tolerance", None)


def _gradients(config: Config) -> float:
    """Gradients of a run to convergence, roughly."""
    return GRADIENTS * PER_DECADE ** math.log10((_tolerance(config) or USUAL) / USUAL)


def _between(size: float, columns: Sequence[Sequence[Any]], measured: "dict[int, StepCost]", name: str) -> float:
    """Seconds at some work, in a straight line between those that were measured."""
    (low, first), *more = ((work(columns[index][0]), getattr(cost, name)) for index, cost in measured.items())
    if not more or more[0][0] <= low:
        return first
    high, last = more[0]
    return first + max(0.0, last - first) * (size - low) / (high - low)


def _side_by_side(seconds: Sequence[float], n_jobs: int) -> float:
    return max(sum(seconds) / min(n_jobs, len(seconds)), *seconds, 0.0)
