"""Test errors of networks that are equal but for what their filters do with a patch, seed by seed."""

import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.networks.convolutional import DOT
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean
from feature_lazy.study.figures.scaling import scatter
from feature_lazy.study.law import Joined, law
from feature_lazy.study.verdict import Bound
from feature_lazy.systems.generalised_convolution import PAPER

ERROR = "test/error"
POINTS = Bound(1.5, "below")
"""Percentage points of test patterns. After 12 epochs of 1000 patterns an independent calculation has +0.5 ± 0.4, after
30 it has −0.1 ± 0.4."""


@law(
    "test error with weighted L2 distances less that with products, in points",
    paper=PAPER,
    needs=(ERROR,),
    expected=POINTS,
    lacks="runs of architecture=cnn with operator=l2 and operator=dot",
    outcomes=("converged", "t_end"),
    across=Joined("architecture.operator", "l2", "dot"),
    quiet=True,
)
def squares(pairs: pd.DataFrame) -> Estimate | None:
    """As good, or worse by less than 1.5 points."""
    return mean(pairs.assign(gap=100 * (pairs[ERROR] - pairs[f"{ERROR}_other"])), "gap", (0.0, float("inf")))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Test error of each network at the end by operator, and their mean with its error, for the atlas."""
    kinds = pd.Series([run.config["architecture"].get("operator", DOT) for run in table["run"]], table.index)
    scatter(axes, {str(name): 100 * part[ERROR] for name, part in table.groupby(kinds)})
    axes.set(ylabel="test error, %")
