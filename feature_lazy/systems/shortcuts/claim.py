"""How the bias towards a shortcut grows with its availability: of linear networks and others, with biases or not."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import X
from feature_lazy.study.verdict import ABOVE_ZERO, Expected
from feature_lazy.systems.shortcuts import PAPER
from feature_lazy.systems.shortcuts.quantity import BIAS

NONE = Expected(0, 0.05, "finite P")
"""Least squares is invariant under scales of its inputs, but for when training stops, and a kernel that is homogeneous
in x fits ±1 by angles alone. An independent calculation (P = 300, 5 splits) has 0 ± 0.06 and 0 ± 0.04."""
LAZY = 25.0
"""√h·α from which on runs count: the claim is on kernels."""
EVEN = 1.0
SAYS = {"paper": PAPER, "needs": (BIAS,), "outcomes": ("t_end", "converged"), "across": KINDS, "quiet": True}
LACKS = "lazy runs of two splits on dataset=shortcut, equally available features and others"


@law("bias by availability, nonlinear with biases", expected=ABOVE_ZERO, lacks=LACKS, **SAYS)
def nonlinear(table: pd.DataFrame) -> Estimate | None:
    """Above 0; an independent calculation has 0.18 ± 0.04 (ReLU) and 0.24 ± 0.06 (erf) where a_s/a_c is 16, and 1."""
    return gain(table, linear=False, biased=True)


@law("bias by availability, linear", expected=NONE, lacks=LACKS, **SAYS)
def linear(table: pd.DataFrame) -> Estimate | None:
    """0: a linear network weighs features by what they predict."""
    return gain(table, linear=True, biased=True)


@law("bias by availability, ReLU without biases", expected=NONE, lacks=LACKS, **SAYS)
def homogeneous(table: pd.DataFrame) -> Estimate | None:
    """0, though the network is not linear: chosen before it was measured, as the paper has biases."""
    return gain(table[table["activation"] == "relu"], linear=False, biased=False)


def gain(table: pd.DataFrame, *, linear: bool, biased: bool) -> Estimate | None:
    """Bias at the largest ratio of availabilities less that at 1, its error over splits; None of fewer than two."""
    runs = with_keys(table)
    runs = runs[(runs[X] >= LAZY) & ((runs["activation"] == "linear") == linear) & (runs["biased"] == biased)]
    means = runs.groupby(["split", "ratio"])[BIAS].mean().unstack()
    if EVEN not in means or len(means.columns) < 2:
        return None
    each = (means[means.columns.max()] - means[EVEN]).dropna().to_numpy()
    return average(each) if len(each) > 1 else None


def with_keys(table: pd.DataFrame) -> pd.DataFrame:
    """The runs on dataset=shortcut, with ``ratio``, a_s/a_c, ``biased`` and ``split``."""
    kinds = [run.config.get("dataset", {}).get("kind") for run in table["run"]]
    table = table[pd.Series(kinds, table.index, dtype=object) == "shortcut"]  # an empty list would choose no column
    data = [run.config.get("dataset", {}) for run in table["run"]]
    return table.assign(
        ratio=[one["availability"][0] / one["availability"][1] for one in data],
        biased=[bool(run.config.get("architecture", {}).get("bias", 0)) for run in table["run"]],
        split=[one.get("seed", 0) for one in data],
    )


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The bias over time where the shortcut is the most available, for the atlas."""
    runs = with_keys(table)
    runs = runs[runs["ratio"] == runs["ratio"].max()]
    for index, ((activation, biased), part) in enumerate(runs.groupby(["activation", "biased"])):
        curves = [run.history for run in part["run"]]
        first = min(curves, key=lambda one: len(one["t"]))["t"]
        each = np.array([one[BIAS][: len(first)] for one in curves])
        name = f"{activation}, {'with' if biased else 'no'} biases"
        axes.plot(first[1:], each.mean(0)[1:], label=name, **{**look(index), "marker": ""})
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xscale="log", xlabel="training time t", ylabel="shortcut bias")
    axes.legend()
