"""Errors of regression beside theory: with the kernels of trained networks at start and end, and with random features.

Random features are networks whose output layer alone is trained, to regularisation by the distance from its start:
ridge regression with δ = λP on the kernel of h features.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.core.streams import stream
from feature_lazy.kernels.omniscient import risk, unseen
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.learning_curve import Population, limit, stored
from feature_lazy.study.splits import mean_of_splits, over_each, over_splits
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Expected
from feature_lazy.systems.more_is_better import PAPER

SHARES = (1 / 64, 1 / 32, 1 / 16)
"""Patterns that are learnt from over those that there are."""
RIDGE, DRAWS = 0.01, 20
"""Over the mean diagonal of the kernel; and draws of the patterns for each run and share."""
THEORY = Expected(1, 0.05, "finite N")
"""An independent calculation (MNIST, two hidden layers, N = 1400) is within 2 % at n = 100, and is given 5 %."""
CHANGE, LOSS = "kernel/change", "test/loss"
SAYS = {"paper": PAPER, "outcomes": ("t_end", "stationary", "converged"), "across": KINDS, "quiet": True}
LACKS = "runs of two splits, with kernel matrices, in which features are learnt"
FEATURES = "runs of two splits with dynamics.train=[last] regulariser=distance loss=mse"


@law("error over theory, kernel at the start", needs=(CHANGE,), expected=THEORY, lacks=LACKS, **SAYS)
def at_start(table: pd.DataFrame) -> Estimate | None:
    """1: regression on a part of the patterns, over the eigenframework with the spectrum on all."""
    return over_splits(whole(table), lambda run: _ratio(run, "start"))


@law("error over theory, kernel at the end", needs=(CHANGE,), expected=THEORY, lacks=LACKS, **SAYS)
def at_end(table: pd.DataFrame) -> Estimate | None:
    """1: also with a kernel that has been learnt, on patterns that it has not seen."""
    return over_splits(whole(table), lambda run: _ratio(run, "end"))


@law("ln of the error at the start over that at the end", needs=(CHANGE,), expected=ABOVE_ZERO, lacks=LACKS, **SAYS)
def learnt(table: pd.DataFrame) -> Estimate | None:
    """Above 0: what was learnt on some patterns makes a better kernel for others, at the largest share of them."""

    def gain(run: Run) -> float:
        start, end = (_curve(run, when)[-1][0] for when in ("start", "end"))
        return float(np.log(start / end))

    return over_splits(whole(table), gain)


@law("test error over theory, fewer features than patterns", needs=(LOSS,), expected=THEORY, lacks=FEATURES, **SAYS)
def few(table: pd.DataFrame) -> Estimate | None:
    """1: trained networks of random features, over the eigenframework with the spectrum of infinite width."""
    runs = featured(table)
    return over_splits(runs[runs[H] < runs["P"]], lambda run: measured(run) / predicted(run))


@law("test error over theory, more features than patterns", needs=(LOSS,), expected=THEORY, lacks=FEATURES, **SAYS)
def many(table: pd.DataFrame) -> Estimate | None:
    """1, as with fewer."""
    runs = featured(table)
    return over_splits(runs[runs[H] > runs["P"]], lambda run: measured(run) / predicted(run))


@law("ln of the test error of fewest over most features", needs=(LOSS,), expected=ABOVE_ZERO, lacks=FEATURES, **SAYS)
def better(table: pd.DataFrame) -> Estimate | None:
    """Above 0: more is better."""
    runs = featured(table)
    least, most = (over_each(runs[runs[H] == h], measured) for h in (runs[H].min(), runs[H].max()))
    return mean_of_splits(np.log(least / most)) if runs[H].nunique() > 1 else None


def whole(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of which all weights were trained, that keep their kernels."""
    return table[[_trains(run) == ["all"] and "theta_end" in run.outputs for run in table["run"]]]


def featured(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of networks of one hidden layer whose output layer alone was trained, with a ridge."""
    mine = [
        _trains(run) == ["last"]
        and run.config.get("loss", {}).get("kind") == "mse"
        and run.config.get("regulariser", {}).get("kind") == "distance"
        and run.columns["L"] == 1
        for run in table["run"]
    ]
    return table[mine]


def _trains(run: Run) -> list[str]:
    return run.config.get("dynamics", {}).get("train", ["all"])


def _ratio(run: Run, when: str) -> float:
    return float(np.mean([found / theory for found, theory in _curve(run, when)]))


_curves: dict[tuple[Path, str], list[tuple[float, float]]] = {}
"""What was measured of a run's kernel, which three laws ask for."""


def _curve(run: Run, when: str) -> list[tuple[float, float]]:
    """Error of regression and theory at each of ``SHARES``."""
    if (run.path, when) not in _curves:
        population = stored(run, when)
        sizes = [_size(population, share) for share in SHARES]
        theory = [population.theory(n, ridge=RIDGE) for n in sizes]
        _curves[run.path, when] = list(zip(_errors(population, run, sizes), theory, strict=True))
    return _curves[run.path, when]


def _errors(population: Population, run: Run, sizes: Sequence[int]) -> list[float]:
    """Mean errors of regression on n patterns, for draws that are a run's own and the same for both kernels."""
    draws = stream(run.columns["seed"], "more is better", str(run.config.get("dataset", {}).get("seed", 0)))
    return [float(np.mean([population.measured(n, draws, ridge=RIDGE) for _ in range(DRAWS)])) for n in sizes]


def _size(population: Population, share: float) -> int:
    return max(2, round(share * population.size))


def measured(run: Run) -> float:
    """Mean squared error on the test set, of which ½ is the loss."""
    return 2 * run.summary[LOSS]


def predicted(run: Run) -> float:
    """What theory says of it: n = P patterns and k = h features of the N that are in both sets, δ = λP."""
    population, n = _limit(run), int(run.columns["P"])
    ridge = run.config["regulariser"]["strength"] * n
    found = risk(population.eigenvalues, population.coefficients, n, k=run.columns[H], ridge=ridge)
    return unseen(found, n, population.size)


_limits: dict[str, Population] = {}
SPLITS = 8
"""Kernels of N × N numbers that are held: of one split each."""


def _limit(run: Run) -> Population:
    key = repr([run.config[group] for group in ("dataset", "activation", "architecture")])
    if key not in _limits:
        if len(_limits) >= SPLITS:
            _limits.clear()
        _limits[key] = limit(run, "nngp", whole=True)
    return _limits[key]


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Errors of regression with the widest networks' kernels against n, at start and end, beside theory."""
    runs = whole(table)
    runs = runs[runs[H] == runs[H].max()]["run"]
    for index, when in enumerate(("start", "end")):
        found = [(stored(run, when), run) for run in runs]
        shares = (1 / 128, *SHARES, 0.1)
        sizes = [_size(found[0][0], share) for share in shares]
        each = np.array([_errors(one, run, sizes) for one, run in found])
        theory = np.array([[one.theory(n, ridge=RIDGE) for n in sizes] for one, _ in found])
        sem = each.std(0, ddof=1) / np.sqrt(len(each))
        style = look(index)
        axes.errorbar(sizes, each.mean(0), sem, capsize=2, label=f"kernel at the {when}", **{**style, "linestyle": ""})
        axes.plot(sizes, theory.mean(0), label="theory", **{**style, "marker": ""})
    axes.set(xscale="log", yscale="log", xlabel="patterns n", ylabel="mean squared error, unseen patterns")
    axes.legend(loc="lower left")
