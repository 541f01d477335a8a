"""What is drawn beside the data: guides of a slope, edges of cells, percentages."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.container import ErrorbarContainer
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.4g} %")
APART, WIDEST = 3.0, 15.0
"""Points from one line's error bars to the next's at the same x, and at most from the first's to the last's."""
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


def beside(axes: Axes, bars: ErrorbarContainer | None, index: int, lines: int) -> None:
    """Shift one of several lines across, so that its error bars lie beside those of the others at the same x.

    Args:
        axes: where it is drawn.
        bars: the line; None: there is none.
        index: of the line.
        lines: how many there are; together they are centred.
    """
    if bars is None or not bars.has_yerr:
        return
    shift = (index - (lines - 1) / 2) * min(APART, WIDEST / max(lines - 1, 1)) / 72
    figure = axes.get_figure(root=True)
    assert figure is not None
    # After drawing: limits of the axes are those of the data.
    for artist in bars.get_children():
        artist.set_transform(axes.transData + ScaledTranslation(shift, 0, figure.dpi_scale_trans))


def percent(axes: Axes) -> None:
    """An axis y in per cent; of shares, which are not below 0, from 0 on where a margin or error bar is below."""
    axes.yaxis.set_major_formatter(PERCENT)
    found = [bars.lines[0] for bars in axes.containers if isinstance(bars, ErrorbarContainer)]
    lines = [line for line in found if line is not None]
    drawn = [np.asarray(line.get_ydata(), dtype=float) for line in lines or axes.get_lines()]
    if axes.get_ylim()[0] >= 0 or any((values < 0).any() for values in drawn):
        return
    axes.set_ylim(bottom=0)
    for line in lines:
        line.set_clip_on(False)  # a marker at 0 is whole


def tidy(axis: Axis) -> None:
    """Few labels on a logarithmic axis, so that none overlap: powers of ten, and within two decades 2 and 5 times.

    Ticks that a figure has set, such as the widths that were run, stay.
    """
    if axis.get_scale() != "log" or isinstance(axis.get_major_locator(), FixedLocator):
        return
    low, high = sorted(axis.get_view_interval())
    if high < 100 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(PLAIN)
    axis.set_minor_formatter(NullFormatter())
