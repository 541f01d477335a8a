"""Pairs of digits one after the other: classifiers on generated patterns against classifiers on stored ones."""

import math
from collections.abc import Callable

import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.continual import Continual, Coreset, continual
from feature_lazy.study.estimate import Estimate, unless_refused
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.splits import firsts, over_each, over_splits, with_weights
from feature_lazy.study.table import X
from feature_lazy.study.verdict import ABOVE_ZERO
from feature_lazy.systems.kernel_continual import PAPER

CHANGE = "weights/change"
GENERATED = Coreset(60, (3, 12))
"""Three Gaussians in twelve principal components, of which 60 patterns are drawn."""
STORED = 20
"""An independent calculation (digits, one hidden layer) has 0.998 ± 0.001 generated, and 0.989 ± 0.004 stored."""
DRAWS = 5
SAYS = {"paper": PAPER, "needs": (CHANGE,), "outcomes": (), "across": KINDS, "quiet": True, "expected": ABOVE_ZERO}
LACKS = "two splits of data with classes, of 20 training patterns each or more, {} and weights (observe.weights=ends)"


@law("accuracy, generated less as much memory stored", lacks=LACKS.format("networks whose limit is known"), **SAYS)
def as_much(table: pd.DataFrame) -> Estimate | None:
    """Above 0, with the kernel of infinite width; memory is in numbers, and stored patterns are rounded up."""
    return _gain(firsts(with_weights(table)), "infinite_ntk", same_memory)


@law("accuracy, generated less 20 stored of each class", lacks=LACKS.format("networks whose limit is known"), **SAYS)
def more(table: pd.DataFrame) -> Estimate | None:
    """Above 0, with the kernel of infinite width."""
    return _gain(firsts(with_weights(table)), "infinite_ntk", lambda tasks: STORED)


@law("accuracy, generated less as much memory stored, kernels at the end", lacks=LACKS.format("networks"), **SAYS)
def with_own_kernel(table: pd.DataFrame) -> Estimate | None:
    """Above 0, with the tangent kernels of networks that learn features, which have seen all classes."""
    runs = with_weights(table)
    return _gain(runs[runs[X] == runs[X].min()], "end", same_memory)


def same_memory(tasks: Continual) -> int:
    """How many patterns take the memory of a generator."""
    return math.ceil(GENERATED.memory(tasks))


def accuracy(run: Run, coreset: Coreset, tasks: Continual) -> float:
    """Mean over tasks and draws.

    Raises:
        ConfigError: see ``Coreset.accuracies``.
        ValueError: likewise.
    """
    return float(coreset.accuracies(tasks, run, DRAWS).mean())


def _gain(table: pd.DataFrame, kernel: str, size: Callable[[Continual], int]) -> Estimate | None:
    """Accuracy on generated coresets less that on stored ones, over splits; None of runs that have no such tasks."""

    def gain(run: Run) -> float:
        tasks = continual(run, kernel)
        return accuracy(run, GENERATED, tasks) - accuracy(run, Coreset(size(tasks)), tasks)

    return unless_refused(lambda: over_splits(table, gain))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Accuracy against memory, for the atlas."""
    part, sizes = firsts(table), (1, 2, 5, 10, 20, 40)
    tasks = {run.path: continual(run, "infinite_ntk") for run in part["run"]}

    def point(coreset: Coreset, index: int, label: str) -> None:
        memory = coreset.memory(next(iter(tasks.values())))
        found = over_each(part, lambda run: accuracy(run, coreset, tasks[run.path]))
        axes.errorbar(
            memory, found.mean(), found.std(ddof=1) / len(found) ** 0.5, capsize=2, label=label, **look(index)
        )

    for size in sizes:
        point(Coreset(size), 0, "stored" if size == sizes[0] else "")
    for index, size in enumerate((10, GENERATED.size), start=1):
        point(Coreset(size, GENERATED.mixture), index, f"{size} drawn from a mixture")
    axes.set(xscale="log", xlabel="numbers that are kept of a class, in patterns", ylabel="mean accuracy of tasks")
    axes.legend()
