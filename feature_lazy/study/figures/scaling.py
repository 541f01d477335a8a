"""A quantity against the width, with the exponent that a law has for it, or of several kinds of runs side by side."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.table import H

BELOW = 0.7
"""Where the guide lies, over the mean of the last line."""


def against_width(
    axes: Axes, table: pd.DataFrame, column: str, label: str, exponent: float, *, by: str = "alpha"
) -> None:
    """Mean and standard error over seeds at every h, a line for each α, and a guide of the expected exponent.

    Args:
        axes: where to.
        table: runs.
        column: what is drawn.
        label: of the axis.
        exponent: of h.
        by: what has a line for each of its values in place of α, whose names these are.
    """
    lines = list(table.dropna(subset=[column]).groupby(by))
    for index, (value, part) in enumerate(lines):
        name = f"α = {value:g}" if by == "alpha" else str(value)
        mean, error = (part.groupby(H)[column].agg(how) for how in ("mean", "sem"))
        axes.errorbar(mean.index, mean, error.fillna(0), capsize=2, label=name, **look(index))
        if index == len(lines) - 1:
            middle = float(np.exp(np.log(mean).mean()))
            centre = float(np.exp(np.log(mean.index.to_numpy(float)).mean()))
            below = centre, BELOW * middle
            guide(axes, (mean.index[0], mean.index[-1]), below, exponent, f"$h^{{{exponent:g}}}$")
    axes.set(xscale="log", yscale="log", xlabel="width h", ylabel=label)
    axes.legend()
    tidy(axes.xaxis)
    tidy(axes.yaxis)


def scatter(axes: Axes, groups: Mapping[str, pd.Series]) -> None:
    """Values of each group above its name, and their mean with its standard error."""
    for index, values in enumerate(groups.values()):
        style = {**look(index), "linestyle": ""}
        axes.plot([index - 0.15] * len(values), values, **style, alpha=0.4)
        axes.errorbar([index + 0.15], [values.mean()], [values.sem()], capsize=4, **style)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set(xlim=(-0.5, len(groups) - 0.5), ylim=(0, None))
