"""What privacy costs a classifier by mean distances, on features of networks that were trained on public patterns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from feature_lazy.core.streams import stream
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.estimate import Estimate, average_over
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import X
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.private_similarities import PAPER
from feature_lazy.systems.private_similarities.baseline import PrivateSimilarity
from feature_lazy.systems.private_similarities.release import gaussian_density, gaussian_noise, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRONG, USUAL, NONE = 0.1, 1.0, float("inf")
"""ε of strong and of usual privacy, and of none."""
DELTA = 1e-5
DRAWS = 5
"""Releases over which accuracies of a run are means."""
FEATURES, SIGMA = (100, 1000), 1.0
"""Frequencies of the density and σ of its kernel, for records of norm 1."""
NEARLY = Bound(-0.02)
"""An independent calculation (MNIST, 10 classes, 3500 records, 64 random projections) has 0.680 and 0.684."""
STAYS = Expected(0, 0.02, "finite α")
"""Features of a lazy network move by 1/(√h·α) and less of their size."""
WITHIN = Bound(1.0, "below")
"""It has 0.0228 and 0.0215 (D = 100), 0.0110 and 0.0076 (D = 1000), at ε = 0.1 and 1, of bounds of 0.08 and 0.03."""
LACKS = "runs with validation patterns, weights at the end and labels=parity, which learn features, and lazy ones"
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end"), "across": KINDS, "lacks": LACKS, "quiet": True}
_accuracies: dict[tuple[Path, str, float], float] = {}
"""What laws ask for more than once."""


def accuracy(run: Run, kernel: str, epsilon: float) -> float:
    """Share of test patterns that are told right from releases of the validation patterns, a mean over ``DRAWS``.

    Raises:
        FeatureLazyError: a run without validation patterns, or without weights.
    """
    key = (run.path, kernel, epsilon)
    if key not in _accuracies:
        kernels, task, _ = Bench().ready(run, kernel)
        y = run.outputs["y_test"]
        own = run.columns["seed"] * DRAWS
        releases = [
            PrivateSimilarity(epsilon=repr(epsilon), delta=DELTA, records="valid", draw=own + draw).fit(kernels, task)
            for draw in range(DRAWS if epsilon < NONE else 1)
        ]
        _accuracies[key] = float(np.mean([(one.F_test.numpy() * y > 0).mean() for one in releases]))
    return _accuracies[key]


def learnt(table: pd.DataFrame) -> list[Run]:
    """Runs that can be asked, at the least √h·α of several."""
    return _at(table, min)


def lazy(table: pd.DataFrame) -> list[Run]:
    """Those at the largest."""
    return _at(table, max)


def _at(table: pd.DataFrame, which: Callable[[list[float]], float]) -> list[Run]:
    runs = [run for run in table.get("run", ()) if isinstance(run, Run) and _has_records(run)]
    scales = [float(run.columns[X]) for run in runs]
    return [run for run, x in zip(runs, scales, strict=True) if x == which(scales)] if len(set(scales)) > 1 else []


def _has_records(run: Run) -> bool:
    data, labels = run.config.get("dataset", {}), run.config.get("labels", {})
    return bool(data.get("n_valid")) and labels.get("kind") == "parity" and bool(run.weight_numbers)


@law("accuracy at ε = 1 less that at ε = ∞, features that were learnt", expected=NEARLY, where="Table 3", **SAYS)
def cost(table: pd.DataFrame) -> Estimate | None:
    """Above −0.02."""
    return average_over(
        learnt(table), lambda run: accuracy(run, "hidden_end", USUAL) - accuracy(run, "hidden_end", NONE)
    )


@law("accuracy at ε = 1, features after learning less before", expected=ABOVE_ZERO, where="public features", **SAYS)
def gain(table: pd.DataFrame) -> Estimate | None:
    """Above 0."""
    return average_over(learnt(table), lambda run: _gain(run, USUAL))


@law("accuracy at ε = 1, features of lazy networks after less before", expected=STAYS, where="public features", **SAYS)
def lazy_gain(table: pd.DataFrame) -> Estimate | None:
    """0 ± 0.02."""
    return average_over(lazy(table), lambda run: _gain(run, USUAL))


@law("what ε = 0.1 costs in accuracy, before learning less after", expected=ABOVE_ZERO, where="public features", **SAYS)
def strong(table: pd.DataFrame) -> Estimate | None:
    """Above 0: classes that are further apart stand more noise."""
    return average_over(learnt(table), lambda run: _gain(run, STRONG) - _gain(run, NONE))


def _gain(run: Run, epsilon: float) -> float:
    return accuracy(run, "hidden_end", epsilon) - accuracy(run, "hidden_start", epsilon)


@law("error of the private Gaussian density over √(1/2D) + s/n", expected=WITHIN, where="Theorem 3.1", **SAYS)
def density(table: pd.DataFrame) -> Estimate | None:
    """Below 1: the largest over D and ε, on patterns as they are."""
    return average_over(lazy(table), lambda run: max(rms / bound for rms, bound in densities(run)))


def densities(run: Run) -> list[tuple[float, float]]:
    """Root mean square error of the density and its bound, for each of ``FEATURES`` and both ε.

    Raises:
        FeatureLazyError: a run without validation patterns.
    """
    kernels, task, _ = Bench().ready(run, "linear")
    assert task.held_out is not None
    z, y = (unit(x.double().numpy()) for x in (task.held_out[0], kernels.x_test))
    exact = np.exp((2 * y @ z.T - 2) / SIGMA**2).mean(1)
    draws, found = stream(run.columns["seed"], "private similarities", "density"), []
    for features in FEATURES:
        for epsilon in (STRONG, USUAL):
            noise = gaussian_noise(epsilon, DELTA)
            near = gaussian_density(z, y, SIGMA, features, noise, draws)
            bound = (1 / (2 * features)) ** 0.5 + noise / len(z)
            found.append((float(np.sqrt(np.mean((near - exact) ** 2))), bound))
    return found


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Accuracy over ε on features before and after learning, for the atlas."""
    runs, grid = learnt(table), (0.03, 0.1, 0.3, 1.0, 3.0)
    for index, (kernel, name) in enumerate((("hidden_end", "after learning"), ("hidden_start", "before"))):
        each = np.array([[accuracy(run, kernel, epsilon) for epsilon in (*grid, NONE)] for run in runs])
        sem = each.std(0, ddof=1) / len(each) ** 0.5
        style = look(index)
        axes.errorbar(grid, each.mean(0)[:-1], sem[:-1], capsize=2, label=name, **style)
        axes.axhline(each.mean(0)[-1], color=style["color"], linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="ε (δ = 1e-5); dotted: without noise", ylabel="accuracy on test patterns")
    axes.legend()
