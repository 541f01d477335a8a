"""Figures: ``overview`` of any sweep, and ``registry`` of those of the article, each with its data as a table."""

from analysis.figures.overview import FIGURES, draw
from analysis.figures.style import STYLE

__all__ = ["FIGURES", "STYLE", "draw"]
