"""Moments over initialisations, of ReLU and of critical tanh, beside their values at depth over width L/h."""

import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate, estimate
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Expected
from feature_lazy.systems.effective_theory import PAPER

VARIANCE, KURTOSIS, SPREAD, DRIFT = (
    f"init/{name}" for name in ("variance", "kurtosis", "kernel_spread", "kernel_drift")
)
RELU, TANH = "relu", "tanh"
FIRST_ORDER = 0.11
"""L/h up to which the spread of the kernel is held against its first order."""
EXACT = Expected(1)
"""3[(1 + 5/h)^L − 1], at every h."""
SAME = Expected(0, 0.1, "finite h")
"""At L/h = 0.1 the closed form goes from 1.76 at h = 30 to 1.90 at 120, as h^0.05."""
NEXT = Expected(1, 0.2, "order L/h")
"""An independent calculation has 0.387 ± 0.018 at h = 40, L = 4, where the first order is 0.34."""
VERTEX = Expected(2 / 3, 0.1, "finite L")
"""An independent calculation has 0.61 … 0.67 ± 0.02 at L = 5 … 40; theory 0.62 and 0.63 at L = 10 and 20."""
SIZE = Expected(1, 0.03, "second order")
"""Theory leaves out the square of the relative variance of K, which is 0.004 at L/h = 0.1; the rest is slack."""
LINEAR = Expected(1, 0.15, "finite h")
"""An independent calculation has (1.0 … 1.3)·L/h at L/h = 0.025 … 0.2."""
SAYS = {
    "paper": PAPER,
    "outcomes": ("t_end", "converged", "stationary"),
    "across": KINDS,
    "quiet": True,
}


@law("excess kurtosis of ReLU over 3[(1 + 5/h)^L − 1]", needs=(KURTOSIS,), expected=EXACT, **SAYS)
def kurtosis(table: pd.DataFrame) -> Estimate | None:
    """1: given a layer, all preactivations of the next are independent and Gaussian."""
    rows = having(table, RELU, KURTOSIS)
    return _mean(rows, rows[KURTOSIS] / (3 * ((1 + 5 / rows[H]) ** rows["L"] - 1)))


@law("excess kurtosis of ReLU at the same L/h, against h", needs=(KURTOSIS,), expected=SAME, **SAYS)
def same_ratio(table: pd.DataFrame) -> Estimate | None:
    """0: it is a function of L/h; at the ratio of which there are most widths."""
    rows = having(table, RELU, KURTOSIS)
    ratio = (rows["L"] / rows[H]).round(6)
    widths = rows.groupby(ratio)[H].nunique()
    return _slope(rows[ratio == widths.idxmax()], H, KURTOSIS) if len(widths) and widths.max() > 1 else None


@law("Var Θ/(E Θ)² of ReLU over its first order", needs=(SPREAD,), expected=NEXT, **SAYS)
def spread(table: pd.DataFrame) -> Estimate | None:
    """1: L(11L + 7)/3(L + 1)h, which is 11/3·L/h of deep networks; at small L/h."""
    rows = having(table, RELU, SPREAD)
    rows = rows[rows["L"] / rows[H] <= FIRST_ORDER]
    depth = rows["L"]
    return _mean(rows, rows[SPREAD] * rows[H] * 3 * (depth + 1) / (depth * (11 * depth + 7)))


@law("variance of f of critical tanh over theory", needs=(VARIANCE,), expected=SIZE, **SAYS)
def variance(table: pd.DataFrame) -> Estimate | None:
    """1, of a pattern on the sphere: 1/2l to leading order in the depth, with the first order in 1/h."""
    rows = having(table, TANH, VARIANCE)
    return _mean(
        rows, rows[VARIANCE] / [_variance(int(h), int(depth)) for h, depth in zip(rows[H], rows["L"], strict=True)]
    )


@law("V/K² of critical tanh, for each layer", needs=(KURTOSIS,), expected=VERTEX, **SAYS)
def vertex(table: pd.DataFrame) -> Estimate | None:
    """⅔: a third of the kurtosis, times h/L, of deep networks."""
    rows = having(table, TANH, KURTOSIS)
    rows = rows[rows["L"] >= 10]
    return _mean(rows, rows[KURTOSIS] / 3 * rows[H] / rows["L"])


@law("rms of ∇Θ·∇f/Θ^{3/2} of critical tanh, against L/h", needs=(DRIFT,), expected=LINEAR, **SAYS)
def drift(table: pd.DataFrame) -> Estimate | None:
    """1: how fast the kernel begins to move, so that features are learnt, is of the order L/h."""
    rows = having(table, TANH, DRIFT)
    rows = rows.assign(ratio=rows["L"] / rows[H])
    return _slope(rows, "ratio", DRIFT) if rows["ratio"].nunique() > 1 else None


def having(table: pd.DataFrame, activation: str, column: str) -> pd.DataFrame:
    """The runs of networks that theory is of here, with a critical activation, that have a value."""
    mine = [_known(run.config, activation) for run in table["run"]]
    return table[np.array(mine, dtype=bool) & (table[column].notna() if column in table else False)]


def _known(config: dict[str, Any], activation: str) -> bool:
    """Whether it is a fully connected network of one width in the NTK parametrisation, without biases."""
    chosen, network = config.get("activation", {}), config.get("architecture", {})
    return (
        (chosen.get("kind"), chosen.get("scale", "unit")) == (activation, "critical" if activation == TANH else "unit")
        and network.get("kind") == "fully_connected"
        and not (network.get("bias") or network.get("bias_std"))
        and config.get("width", {}).get("kind", "uniform") == "uniform"
        and config.get("parametrisation", {}).get("kind", "ntk") == "ntk"
    )


@cache
def _variance(h: int, depth: int) -> float:
    from feature_lazy.networks.activations import Tanh, scaled
    from feature_lazy.networks.limits.fluctuations import layers_at_start

    return layers_at_start(scaled(Tanh(scale="critical")), [h] * depth)[-1].variance


def _mean(rows: pd.DataFrame, values: pd.Series) -> Estimate | None:
    """Mean over the sizes of each seed, and its error over seeds."""
    return _of_each(values.groupby(rows["seed"]).mean())


def _slope(rows: pd.DataFrame, x: str, y: str) -> Estimate | None:
    """Exponent of y ~ x^s within each seed, and its error over seeds."""
    logs = {seed: np.log(part[[x, y]].to_numpy(float)).T for seed, part in rows.groupby("seed")}
    return _of_each(pd.Series({seed: np.polyfit(*both, 1)[0] for seed, both in logs.items()}, dtype=float))


def _of_each(values: pd.Series) -> Estimate | None:
    each = values.to_numpy()
    return estimate(lambda weights: weights @ each / weights.sum(1), len(each)) if len(each) > 1 else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Fluctuations against L/h, for the atlas, with what theory says of them at first order."""
    shown = [
        (RELU, KURTOSIS, "ReLU: kurtosis of f", 15),
        (RELU, SPREAD, "ReLU: Var Θ/(E Θ)²", 11 / 3),
        (TANH, KURTOSIS, "tanh: kurtosis of f", 2),
        (TANH, DRIFT, "tanh: rms of ∇Θ·∇f/Θ^{3/2}", math.nan),
    ]
    for index, (activation, column, label, slope) in enumerate(shown):
        rows = having(table, activation, column)
        found = rows.groupby(rows["L"] / rows[H])[column].agg(["mean", "sem"])
        style = look(index)
        axes.errorbar(found.index, found["mean"], found["sem"], capsize=2, label=label, **{**style, "linestyle": ""})
        axes.plot(found.index, slope * found.index, **{**style, "marker": ""})
    axes.set(xscale="log", yscale="log", xlabel="depth over width L/h", ylabel="over initialisations")
    axes.legend(loc="upper left", fontsize="small")
