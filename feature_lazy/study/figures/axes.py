"""What is drawn beside the data: guides of a slope, edges of cells, percentages."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.4g} %")
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def guide(
    axes: Axes, x: tuple[float, float], anchor: tuple[float, float], exponent: float, text: str = "", above: bool = True
) -> None:
    """A dashed line of slope ``exponent`` through ``anchor`` over a range of x, labelled with it.

    Args:
        axes: both logarithmic.
        x: where it begins and ends.
        anchor: a point on it.
        exponent: its slope in logarithms.
        text: its label; the exponent in three digits if empty.
        above: where the label stands.
    """
    xs = np.array(x)
    ys = anchor[1] * (xs / anchor[0]) ** exponent
    axes.plot(xs, ys, "k--", lw=1)
    middle = np.sqrt(xs[0] * xs[1]), np.sqrt(ys[0] * ys[1])
    axes.annotate(text or f"{exponent:.3g}", middle, xytext=(6, 6 if above else -13), textcoords="offset points")


def tidy(axis: Axis) -> None:
    """Few labels on a logarithmic axis, so that none overlap: powers of ten, and within two decades 2 and 5 times."""
    if axis.get_scale() != "log":
        return
    low, high = sorted(axis.get_view_interval())
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(NullFormatter())
