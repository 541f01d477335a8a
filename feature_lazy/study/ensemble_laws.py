"""What predictors of several seeds say: Var ~ 1/h (eq. 17), and the error of their mean (Fig. 4)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from feature_lazy.study.ensembles import Ensemble
from feature_lazy.study.estimate import Estimate, estimate, jackknife, unless_alike
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.regimes import range_of
from feature_lazy.study.table import ensembles
from feature_lazy.study.verdict import ABOVE_ZERO, Reading, judged


@law("variance against h, lazy", paper=ARTICLE, where="Fig. 4a–b, eq. 17", needs=("run",))
def variance_lazy(table: pd.DataFrame) -> Reading:
    """Var F ~ 1/h."""
    return _variance(table, "lazy")


@law("variance against h, feature", paper=ARTICLE, where="Fig. 4a–b, eq. 17", needs=("run",))
def variance_feature(table: pd.DataFrame) -> Reading:
    """Var F ~ 1/h."""
    return _variance(table, "feature")


def _variance(table: pd.DataFrame, regime: str) -> Reading:
    between, on = range_of(table, regime)
    part = [one for one in ensembles(table) if between and between[0] <= one.x <= between[1]]
    return judged(-1, variance_slope(part), on=on, lacks=f"two widths deep in the {regime} regime, each with two seeds")


@law("single error less error of the mean", paper=ARTICLE, where="Fig. 4c–d; all √hα", needs=("run",))
def ensemble_gain(table: pd.DataFrame) -> Reading:
    """Whether the mean of an ensemble errs less than one network, over all cells."""
    found = ensembles(table)
    if not found:
        return judged(ABOVE_ZERO, None, lacks="two seeds")
    seeds, at = _seeds(found)
    gain = jackknife(lambda weights: np.mean([one.gains(weights[:, at(one)]) for one in found], axis=0), seeds)
    better = sum(one.error < one.singles.mean() for one in found)
    row = judged(ABOVE_ZERO, unless_alike(gain), lacks="two seeds")
    return replace(row, measured=f"{row.measured}, above 0 in {better} of {len(found)} cells")


def variance_slope(ensembles: Sequence[Ensemble]) -> Estimate | None:
    """Exponent of Var ~ h^s at fixed √h·α, one intercept for each √h·α.

    Returns:
        None if no √h·α has two widths.
    """
    return _slope([[(one.h, one) for one in ensembles if one.x == x] for x in sorted({one.x for one in ensembles})])


@law("variance against P, lazy", paper=ARTICLE, where="Fig. 14", needs=("run",), across="P")
def pattern_law(table: pd.DataFrame) -> Reading:
    """Whether Var grows with the number P of training patterns in the lazy regime at fixed h and √h·α."""
    lines: dict[tuple[int, float], list[tuple[float, Ensemble]]] = {}
    on = ""
    for p, part in table.groupby("P"):
        lazy, text = range_of(part, "lazy")
        on = text or on
        for one in ensembles(part) if lazy else []:
            if one.x >= lazy[0]:
                lines.setdefault((one.h, one.x), []).append((float(p), one))
    return judged(ABOVE_ZERO, _slope(list(lines.values())), lacks="two P deep in the lazy regime", on=on)


def _slope(lines: Sequence[Sequence[tuple[float, Ensemble]]]) -> Estimate | None:
    """Exponent of the variance in a coordinate, one intercept for each line; None if no line has two points."""
    lines = [line for line in lines if len(line) > 1]
    if not lines:
        return None
    coordinates = [np.log([place for place, _ in line]) for line in lines]
    coordinates = [u - u.mean() for u in coordinates]
    total = sum(u @ u for u in coordinates)
    seeds, at = _seeds([one for line in lines for _, one in line])

    def exponent(weights: np.ndarray) -> np.ndarray:
        logs = [np.stack([one.log_variances(weights[:, at(one)]) for _, one in line], 1) for line in lines]
        return np.sum([y @ u for y, u in zip(logs, coordinates, strict=True)], axis=0) / total

    return estimate(exponent, seeds)


def _seeds(found: Sequence[Ensemble]) -> tuple[int, Callable[[Ensemble], np.ndarray]]:
    """How many seeds there are in all, and which of them an ensemble has, as indices."""
    seeds = np.unique(np.concatenate([one.seeds for one in found]))
    return len(seeds), lambda one: np.searchsorted(seeds, one.seeds)
