"""How figures look: legible in grey and by the colour-blind, because no line is told from another by colour alone."""

import logging
import os
import re
import sys
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from feature_lazy.core.errors import StoreError

# Files only: a cluster's login node has no display. A notebook, or whoever draws already, has chosen for itself.
if not os.environ.get("MPLBACKEND") and "matplotlib.pyplot" not in sys.modules:
    matplotlib.use("Agg")

# It tells of fonts where a sweep tells of results.
logging.getLogger("matplotlib").setLevel(logging.WARNING)

SQRT_H_ALPHA = r"$\sqrt{h}\,\alpha$"
STYLE: dict[str, Any] = {
    "figure.figsize": (5.6, 4.0),
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.dpi": 200,
}
PANELS: dict[str, Any] = {
    **STYLE,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "legend.fontsize": 6.5,
    "legend.labelspacing": 0.25,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.6,
    "errorbar.capsize": 1.5,
    "pdf.fonttype": 42,  # text that can be selected and searched
}
"""Style of the article's figures, which have several panels across a page."""
SMALL = 4.5
"""Width in inches below which a figure is one of a journal's column, with its smaller type."""


INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72.27}


def inches(length: float | str) -> float:
    """A length in inches, given as a number of them or with its unit, such as ``8.6cm``.

    Raises:
        StoreError: no length above 0.
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)(in|cm|mm|pt)", str(length))
    made = float(found[1]) * INCHES[found[2]] if found else length
    if not isinstance(made, int | float) or not 0 < made < 100:
        raise StoreError(f"width {length}: write a length such as 3.4in, 8.6cm or 246pt.")
    return made


def sized(width: float | None) -> dict[str, Any]:
    """The style of one figure of a width in inches, of the same shape; None: of its own width."""
    if width is None:
        return STYLE
    across, up = STYLE["figure.figsize"]
    return {**(PANELS if width < SMALL else STYLE), "figure.figsize": (width, width * up / across)}


def legend(figure: Figure, **settings: Any) -> None:
    """Name the lines of a figure's only panel: beside it, and above it where that would take half of a narrow one."""
    width = figure.get_figwidth()
    if width >= SMALL:
        figure.legend(loc="outside right upper", **settings)
        return
    drawn = [text for axes in figure.axes for text in axes.get_legend_handles_labels()[1]]
    labels = [re.sub(r"\\[a-z]+", "x", text) for text in drawn]  # a symbol of mathematics is one letter
    points = FontProperties(size=matplotlib.rcParams["legend.fontsize"]).get_size_in_points()
    letter = points / 72 / 1.8  # in inches: they are narrower than they are high
    columns = int(width / (letter * (6 + max(map(len, labels), default=0))))  # 6: the line itself, and space around
    title = {"title": " ".join(str(settings["title"]).split())} if "title" in settings else {}
    figure.legend(loc="outside upper center", ncols=min(max(columns, 1), len(labels)), **{**settings, **title})


# Okabe and Ito's colours, told apart by the colour-blind; in this order neighbours differ in grey too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def look(index: int) -> dict[str, str]:
    """Colour and marker of the index-th line; 49 pass before a pair comes back."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
    }
