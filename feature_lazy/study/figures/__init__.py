"""Figures of any sweep, each a function of its table; those of the article are in ``analysis``."""

from feature_lazy.study.figures.overview import FIGURES, draw
from feature_lazy.study.figures.style import STYLE

__all__ = ["FIGURES", "STYLE", "draw"]
