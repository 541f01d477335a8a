"""Digits as they are, mirrored and transposed, each learnt from one parent with a head that stays; sums of that.

Of networks, of their linearisations, and post hoc: of what networks have learnt, put into the linearisation.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.runs.reading import load_run
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.tasks import LINEARISED, NONLINEAR, POST_HOC, Arithmetic, arithmetic
from feature_lazy.study.verdict import ABOVE_ZERO, Bound
from feature_lazy.systems.task_arithmetic import PAPER

ERROR = "test/error"
SAYS = {
    "paper": PAPER,
    "needs": (ERROR,),
    "outcomes": ("converged", "stationary", "t_end"),
    "across": KINDS,
    "quiet": True,
    "lacks": "two tasks of one parent with heads that stay, by dynamics=gradient_flow and linearised, with weights",
}
EXACT = Bound(1e-10, "below")
"""Linear models superpose; an independent calculation has 4e-16."""
INEXACT = Bound(0.01)
"""Networks do not: an independent calculation has 0.20 … 0.27."""


@law("superposition error of linearised networks", expected=EXACT, **SAYS)
def superposition(table: pd.DataFrame) -> Estimate | None:
    """Below 1e-10: ‖f(Στ) − Σf(τ_t) + (T − 1)f₀‖/‖f(Στ) − f₀‖."""
    return _mean(table, LINEARISED, lambda one: one.superposition)


@law("superposition error of networks", expected=INEXACT, **SAYS)
def no_superposition(table: pd.DataFrame) -> Estimate | None:
    """Above 0.01: the control."""
    return _mean(table, NONLINEAR, lambda one: one.superposition)


@law("accuracy of the sum over that of each alone, linearised less networks", expected=ABOVE_ZERO, **SAYS)
def adds_better(table: pd.DataFrame) -> Estimate | None:
    """Above 0 in the paper, at the a that is best on validation patterns; an independent calculation has −0.002."""
    return _difference(table, LINEARISED, NONLINEAR, lambda one: one.added(one.best))


@law("disentanglement error ξ(1, 1), networks less post hoc", expected=ABOVE_ZERO, **SAYS)
def disentangled(table: pd.DataFrame) -> Estimate | None:
    """Above 0; an independent calculation has 0.025, 0.029 and 0.011."""
    return _difference(table, NONLINEAR, POST_HOC, lambda one: one.disentanglement().item())


@law("accuracy on a task that is taken away, networks less linearised", expected=ABOVE_ZERO, **SAYS)
def forgets_better(table: pd.DataFrame) -> Estimate | None:
    """Above 0, at w₀ − τ; an independent calculation has 0.14."""
    return _difference(table, NONLINEAR, LINEARISED, lambda one: one.negated()[0])


@law("accuracy on a task that is taken away, others at 95 %, networks less linearised", expected=ABOVE_ZERO, **SAYS)
def forgets_better_under_control(table: pd.DataFrame) -> Estimate | None:
    """Above 0, at w₀ − aτ with the a that forgets most of validation patterns while it keeps as much of the others."""
    return _difference(table, NONLINEAR, LINEARISED, lambda one: one.negated(one.forgetting)[0])


Kinds = dict[str, dict[int, Arithmetic]]
Measure = Callable[[Arithmetic], float]


def kinds(table: pd.DataFrame) -> Kinds:
    """See ``study.tasks.arithmetic``; nothing where the runs are no tasks."""
    mine = [
        run
        for run in table["run"]
        if run.config.get("seed", {}).get("kind") == "from_run"
        and run.config.get("dynamics", {}).get("train", ["all"]) != ["all"]
        and run.config.get("centred", True) is False
        and run.weight_numbers
    ]
    try:
        return _of(tuple(run.path for run in mine)) if mine else {}
    except FeatureLazyError:
        return {}


@lru_cache(maxsize=2)
def _of(paths: tuple[Path, ...]) -> Kinds:
    """All laws ask of the same runs."""
    return arithmetic([load_run(path) for path in paths])


def _mean(table: pd.DataFrame, kind: str, measure: Measure) -> Estimate | None:
    found = [measure(one) for one in kinds(table).get(kind, {}).values()]
    return average(np.array(found)) if found else None


def _difference(table: pd.DataFrame, kind: str, other: str, measure: Measure) -> Estimate | None:
    """Of two kinds, seed by seed."""
    found = kinds(table)
    one, two = found.get(kind, {}), found.get(other, {})
    seeds = sorted(one.keys() & two.keys())
    return average(np.array([measure(one[seed]) - measure(two[seed]) for seed in seeds])) if seeds else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Accuracies on a task that is taken away and on the others, against a, for the atlas."""
    scales = np.linspace(0, 2, 9)
    for index, (kind, seeds) in enumerate(kinds(table).items()):
        found = np.mean([[one.negated(a) for a in scales] for one in seeds.values()], axis=0)
        for column, (what, line) in enumerate((("the task", "-"), ("others", "--"))):
            axes.plot(scales, found[:, column], label=f"{kind}, {what}", **{**look(index), "linestyle": line})
    axes.set(xlabel="a", ylabel="accuracy at w₀ − aτ")
    axes.legend(fontsize="small")
