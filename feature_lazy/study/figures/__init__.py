"""Figures of any sweep, each a function of its table; those of the article are in ``analysis``."""

from feature_lazy.study.figures.overview import FIGURES, draw

__all__ = ["FIGURES", "draw"]
