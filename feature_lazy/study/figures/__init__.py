"""Figures: ``overview`` of any sweep, and ``registry`` of those of the article, each with its data as a table."""

from feature_lazy.study.figures.overview import FIGURES, draw
from feature_lazy.study.figures.style import STYLE

__all__ = ["FIGURES", "STYLE", "draw"]
