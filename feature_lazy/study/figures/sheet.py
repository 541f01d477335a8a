"""A figure of several panels that keeps what it draws: the CSV beside a figure is the figure's own data."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from feature_lazy.core.tables import csv_of
from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.pgf import save_pgf
from feature_lazy.study.figures.saving import DIGITS, save_bytes, save_figure
from feature_lazy.study.figures.style import legend, look

PICTURES = ("pdf", "png", "pgf")
FORMATS = (*PICTURES, "csv")
WIDTH = 6.8
"""Width of a figure across a page, in inches."""
CHARACTERS = 140
"""Characters in a line of notes of that width."""


class Sheet:
    """Panels by letter, the data drawn in them, and what is missing.

    Attributes:
        name: of the figure, such as ``fig3``.
        axes: by panel.
        notes: sentences on what is missing or left out; they stand below the panels.
    """

    def __init__(self, name: str, titles: Mapping[str, str], columns: int = 2, height: float | None = 2.3) -> None:
        """Make empty panels, row by row.

        Args:
            name: of the figure.
            titles: panel → what it shows; a letter stands before it where there are several.
            columns: panels in a row.
            height: of a row, in inches; None: the whole has the size of matplotlib's settings.
        """
        self.name, self.notes = name, list[str]()
        self._rows: list[dict[str, Any]] = []
        self._said: dict[str, list[str]] = {}
        rows = -(-len(titles) // columns)
        size = None if height is None else (WIDTH if columns > 1 else WIDTH * 0.62, height * rows)
        self.figure = Figure(size)  # not of pyplot, which would keep it
        grid = self.figure.subplots(rows, columns, squeeze=False)
        for spare in grid.flat[len(titles) :]:
            spare.remove()
        self.axes: dict[str, Axes] = dict(zip(titles, grid.flat, strict=False))
        for panel, title in titles.items():
            self.axes[panel].set_title(f"{self._letter(panel)} {title}".strip())

    def _letter(self, panels: str) -> str:
        """What names some panels among several; nothing names the only one."""
        return f"({', '.join(panels)})" if len(self.axes) > 1 else ""

    def line(
        self,
        panel: str,
        series: str,
        x: ArrayLike,
        y: ArrayLike,
        error: ArrayLike | None = None,
        *,
        style: int | Mapping[str, Any] = 0,
        legend: bool = True,
        **options: Any,
    ) -> ErrorbarContainer | None:
        """Draw a line, with error bars where there are any, and keep its data; what is drawn, if x has any value.

        Args:
            panel: where.
            series: its name, in the legend and in the CSV.
            x: (n,).
            y: (n,).
            error: standard errors of y, (n,); NaN where there is none.
            style: number of a look of ``style.look``, or colour and marker themselves.
            legend: whether the legend has it.
            options: of ``Axes.errorbar``.
        """
        x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        if not len(x):
            return None
        bars = np.full(len(x), np.nan) if error is None else np.asarray(error, dtype=float)
        chosen = look(style) if isinstance(style, int) else dict(style)
        shown = np.nan_to_num(bars) if np.isfinite(bars).any() else None
        drawn = self.axes[panel].errorbar(
            x, y, shown, label=series if legend else "_" + series, **{**chosen, **options}
        )
        for values in zip(x, y, bars, strict=True):
            self.record(panel, series, *values)
        return drawn

    def record(self, panel: str, series: str, x: float, y: float, error: float = np.nan, text: str = "") -> None:
        """Keep one point, or one entry of a table, for the CSV."""
        self._rows.append(
            {"figure": self.name, "panel": panel, "series": series, "x": x, "y": y, "error": error, "text": text}
        )

    def guide(
        self, panel: str, x: tuple[float, float], y: float, exponent: float, text: str = "", above: bool = True
    ) -> None:
        """A dashed line of a slope that begins at (x[0], y), labelled; no part of the data."""
        guide(self.axes[panel], x, (x[0], y), exponent, text, above)

    def note(self, sentence: str) -> None:
        """Say something below the panels, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def missing(self, panels: str, sentence: str) -> None:
        """Say what a panel, or several such as ``ab``, lack: below the panels, and in those that are empty."""
        self.note(f"{self._letter(panels)} {sentence}".strip())
        for panel in panels:
            self._said.setdefault(panel, []).append(sentence)

    def decorate(self, panel: str, xlabel: str, ylabel: str, scales: str = "log-log", **settings: Any) -> None:
        """Name and scale the axes, if there is data; ``log-linear`` is a logarithmic x and a linear y."""
        drawn = [row["y"] for row in self._rows if row["panel"] == panel]
        if not drawn:
            return
        xscale, _, yscale = scales.partition("-")
        axes = self.axes[panel]
        if not max(drawn) > 0:
            yscale = "linear"  # nothing to show on a logarithmic one
        axes.set(xscale=xscale, yscale=yscale, xlabel=xlabel, ylabel=ylabel, **settings)
        if axes.get_legend_handles_labels()[1] and axes.get_legend() is None and not self.figure.legends:
            self.legend(panel)

    def legend(self, panel: str, **settings: Any) -> None:
        """Name the lines of a panel: beside the only one, and in one of several, where nothing is in its way."""
        if len(self.axes) > 1:
            self.axes[panel].legend(**settings)
        else:
            legend(self.figure, **settings)

    def data(self) -> pd.DataFrame:
        """All that is drawn: figure, panel, series, x, y and its standard error; text of tables."""
        return pd.DataFrame(self._rows, columns=["figure", "panel", "series", "x", "y", "error", "text"])

    def finish(self) -> None:
        """Write what is missing into empty panels, and all notes below."""
        filled = {row["panel"] for row in self._rows}
        for axis in (axis for axes in self.axes.values() for axis in (axes.xaxis, axes.yaxis)):
            tidy(axis)
        for panel, axes in self.axes.items():
            if panel in filled:
                continue
            said = " ".join(self._said.get(panel, [])) or "No run shows this."
            text = "\n".join(textwrap.wrap(said, 38))
            axes.clear()
            axes.set(title=self._letter(panel), xticks=[], yticks=[])
            axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=7)
        lines = [line for sentence in self.notes for line in textwrap.wrap(sentence, CHARACTERS)]
        if lines:
            self.figure.supxlabel("\n".join(lines), fontsize=6, x=0.01, ha="left")
            width, height = self.figure.get_size_inches()
            self.figure.set_size_inches(width, height + 0.11 * len(lines))

    def save(
        self, folder: Path, formats: Sequence[str] = FORMATS, *, below: Path | None
    ) -> tuple[list[Path], list[str]]:
        """Write the figure in all formats that can be written here.

        Args:
            folder: where.
            formats: of the picture; ``csv``: what is drawn in it.
            below: see ``core.files``.

        Returns:
            The files, and a sentence for each format that was left out.

        Raises:
            StoreError: they cannot be written.
        """
        self.finish()
        written, left_out = [], []
        for kind in formats:
            path = folder / f"{self.name}.{kind}"
            if kind == "csv":
                written.append(save_bytes(path, csv_of(self.data(), DIGITS), below=below))
            elif kind != "pgf":
                written.append(save_figure(self.figure, path, below=below))
            elif why := save_pgf(self.figure, path, below=below):
                left_out.append(why)
            else:
                written.append(path)
        return written, left_out
