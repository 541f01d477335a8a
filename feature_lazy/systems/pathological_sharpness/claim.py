"""How the largest eigenvalue of the Fisher matrix grows with the width at the start, with as many patterns as units."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import at_start, start_slope
from feature_lazy.study.exponents import mean as mean_of
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.pathological_sharpness import PAPER

PLAIN = "fim/lambda_max"
MEAN, BATCH, LAYER = (f"{PLAIN}/last_{name}" for name in ("mean", "batch_norm", "layer_norm"))
MIDDLE = f"{PLAIN}/middle_batch_norm"
ALL = (0.0, np.inf)
GROWS = Expected(1, 0.3, "finite h")
"""λ_max ~ M κ₂. An independent calculation has 0.81 without normalisation and 0.72 under layer norm (M = 40 … 240)."""
GAUSSIAN = ("spheres", "teacher_student", "quadratic")
"""Data sets whose patterns are x ~ N(0, 1)."""
RESTS = Bound(0.3, "below")
"""O(1) where T grows as the width; an independent calculation has −0.15 and −0.23, from above."""
ODD = ("erf", "tanh", "linear")
"""Activations whose units have no mean over patterns under batch norm, so that it does help in the middle."""
WIDE, RATIO = 160, Expected(1.1, 0.15 / 1.1, "1/h")
"""Widths from which on λ_max is held against its leading order: an independent calculation has 1.06 … 1.16 there."""

SAYS = {
    "paper": PAPER,
    "lacks": "two widths, each on as many patterns",
    "outcomes": ("converged", "t_end"),
    "across": KINDS,
    "quiet": True,
}


@law("λ_max of the Fisher matrix against h, as it is", needs=(PLAIN,), expected=GROWS, **SAYS)
def plain(table: pd.DataFrame) -> Estimate | None:
    """1: what all patterns have in common is as large as the network is wide."""
    return _exponent(table, PLAIN)


@law("λ_max of the Fisher matrix against h, outputs less their mean", needs=(MEAN,), expected=RESTS, **SAYS)
def mean(table: pd.DataFrame) -> Estimate | None:
    """0: it is taken away."""
    return _exponent(table, MEAN)


@law("λ_max of the Fisher matrix against h, outputs under batch norm", needs=(BATCH,), expected=RESTS, **SAYS)
def batch_norm(table: pd.DataFrame) -> Estimate | None:
    """0, as less the mean."""
    return _exponent(table, BATCH)


@law("λ_max of the Fisher matrix against h, outputs under layer norm", needs=(LAYER,), expected=GROWS, **SAYS)
def layer_norm(table: pd.DataFrame) -> Estimate | None:
    """1: what patterns have in common stays."""
    return _exponent(table, LAYER)


@law("λ_max of the Fisher matrix against h, hidden layers under batch norm", needs=(PLAIN,), expected=GROWS, **SAYS)
def middle_batch_norm(table: pd.DataFrame) -> Estimate | None:
    """1, of an activation that is not odd: units keep a mean over patterns behind it. An independent one has 0.85."""
    if MIDDLE not in table:
        return None  # it is measured where it is asked for
    return _exponent(table[~table["activation"].isin(ODD)], MIDDLE)


@law("λ_max of the Fisher matrix over its mean-field value", needs=(PLAIN,), expected=RATIO, **SAYS)
def over_mean_field(table: pd.DataFrame) -> Estimate | None:
    """1 + O(1/h): each output has the same value to leading order, and the largest of them is measured."""
    rows = at_start(square(table), PLAIN)
    rows = rows[(rows[H] >= WIDE) & np.array([_known(run) for run in rows["run"]], dtype=bool)]
    limits = [_mean_field(run) for run in rows["run"]]
    return mean_of(rows.assign(ratio=rows["start"] / np.array(limits, dtype=float)), "ratio", ALL)


def _known(run: Run) -> bool:
    """Whether the mean field is that of the run: a fully connected network without biases on x ~ N(0, 1)."""
    network, data = run.config.get("architecture", {}), run.config.get("dataset", {}).get("kind")
    return network["kind"] == "fully_connected" and not network.get("bias") and data in GAUSSIAN


def _mean_field(run: Run) -> float:
    from feature_lazy.networks.activations import scaled
    from feature_lazy.networks.limits.sharpness import mean_field_sharpness

    config = from_plain(run.config)
    h, depth = config.width.of(config.architecture.growing)[-1], config.architecture.hidden_layers
    activation, patterns = scaled(config.activation), config.dataset.n_train
    return mean_field_sharpness(activation, depth, h, patterns, config.parametrisation.exponents)


def _exponent(table: pd.DataFrame, column: str) -> Estimate | None:
    """In the standard parametrisation, whose Fisher matrix is the paper's; in NTK λ_max is h times smaller."""
    rows = square(table)
    return start_slope(rows[rows["parametrisation"] == "standard"] if "parametrisation" in rows else rows, column)


def square(table: pd.DataFrame) -> pd.DataFrame:
    """Only the runs with as many patterns as units."""
    return table[table["P"] == table[H]] if "P" in table else table.head(0)


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """λ_max at t = 0 against the width, for the atlas."""
    names = {PLAIN: "as it is", MEAN: "less the mean", BATCH: "batch norm", LAYER: "layer norm"}
    names[MIDDLE] = "batch norm of hidden layers"
    for index, (column, label) in enumerate(names.items()):
        rows = at_start(square(table), column).groupby(H)["start"].agg(["mean", "sem"])
        axes.errorbar(rows.index, rows["mean"], rows["sem"], capsize=2, label=label, **look(index))
    axes.set(xscale="log", yscale="log", xlabel="width h = patterns T", ylabel="λ_max of the Fisher matrix at t = 0")
    axes.legend(loc="lower right", fontsize="small")
