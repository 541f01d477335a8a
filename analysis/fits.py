"""Fits of a sweep, with errors from its seeds: the names that figures, tables and reports use."""

from analysis.crossings import boundary_slope, crossing, crossings
from analysis.estimate import Estimate
from analysis.exponents import bend, slope, width_slope
from analysis.laws import laws
from analysis.regimes import Regimes, regimes
from analysis.verdict import Law

__all__ = [
    "Estimate",
    "Law",
    "Regimes",
    "bend",
    "boundary_slope",
    "crossing",
    "crossings",
    "laws",
    "regimes",
    "slope",
    "width_slope",
]
