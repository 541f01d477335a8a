"""How exact products with an inverse Fisher matrix are, what they cost, and whether they prune better than sizes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean, width_slope
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.m_fac import PAPER
from feature_lazy.systems.m_fac.quantity import ERROR, FLOPS, MAGNITUDE, OBS

ALL = (0.0, np.inf)
EXACT = Bound(-10, "below")
"""An independent calculation in float64 has errors of 10⁻¹² to 10⁻¹⁴, for λ of 10⁻³ to 0.1 and 200 to 1000 weights."""
LINEAR = Expected(1, 0.2, "what is not counted")
"""Counted are products of matrices, as a counter of PyTorch's sees them: that none of them is N × N. The m × m
equations, which do not grow with N, it does not see."""
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end"), "quiet": True}


@law("error of an inverse Fisher product, log₁₀", needs=(ERROR,), expected=EXACT, lacks="runs", **SAYS)
def error(table: pd.DataFrame) -> Estimate | None:
    """Rounding, against the inverse of an N × N matrix."""
    return mean(table.assign(error=np.log10(table[ERROR])), "error", ALL)


@law(
    "operations of an inverse Fisher product against the weights of one hidden layer, exponent",
    needs=(FLOPS,),
    expected=LINEAR,
    lacks="two widths at one α",
    **SAYS,
)
def cost(table: pd.DataFrame) -> Estimate | None:
    """1: in one hidden layer without biases N is a multiple of h."""
    return width_slope(table[table["L"] == 1], FLOPS, ALL, fixed="alpha")


@law(
    "test error by magnitude less by OBS, 70 % pruned",
    needs=(OBS + "70", MAGNITUDE + "70"),
    expected=ABOVE_ZERO,
    **SAYS,
)
def pruned_70(table: pd.DataFrame) -> Estimate | None:
    """Above 0; of a linear classifier an independent calculation has 0.035."""
    return gain(table, "70")


@law(
    "test error by magnitude less by OBS, 80 % pruned",
    needs=(OBS + "80", MAGNITUDE + "80"),
    expected=ABOVE_ZERO,
    **SAYS,
)
def pruned_80(table: pd.DataFrame) -> Estimate | None:
    """Above 0; there 0.038."""
    return gain(table, "80")


@law(
    "test error by magnitude less by OBS, 90 % pruned",
    needs=(OBS + "90", MAGNITUDE + "90"),
    expected=ABOVE_ZERO,
    **SAYS,
)
def pruned_90(table: pd.DataFrame) -> Estimate | None:
    """Above 0; there 0.12."""
    return gain(table, "90")


def gain(table: pd.DataFrame, percent: str) -> Estimate | None:
    """Mean over runs at the largest h of what OBS gets right more, after so many per cent of the weights are gone."""
    runs = table[table[H] == table[H].max()]
    return mean(runs.assign(gain=runs[MAGNITUDE + percent] - runs[OBS + percent]), "gain", ALL)


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Test error against the share of weights that are gone, widest network, for the atlas."""
    runs = table[table[H] == table[H].max()]
    for index, (prefix, name) in enumerate(((MAGNITUDE, "by magnitude"), (OBS, "by OBS"))):
        columns = {float(column.removeprefix(prefix)): column for column in runs if column.startswith(prefix)}
        shares = sorted(columns)
        points = runs[["test/error", *(columns[share] for share in shares)]]
        axes.errorbar([0, *shares], points.mean(), points.sem(), capsize=2, label=name, **look(index))
    axes.set(xlabel="weights that are pruned, %", ylabel="test error", ylim=(0, None))
    axes.legend()
