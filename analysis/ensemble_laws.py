"""What predictors of several seeds say: Var ~ 1/h (eq. 17), and the error of their mean (Fig. 4)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.ensembles import Ensemble
from analysis.estimate import Estimate, estimate, jackknife
from analysis.regimes import range_of
from analysis.sweep import ensembles
from analysis.verdict import Expected, Law, above_zero, judged


def ensemble_laws(table: pd.DataFrame) -> list[Law]:
    """The variance's exponent of h in each regime, and what the mean of an ensemble gains."""
    found = ensembles(table)
    rows = []
    for name in ("lazy", "feature"):
        between, text = range_of(table, name)
        part = [one for one in found if between and between[0] <= one.x <= between[1]]
        where = "Fig. 4a–b, eq. 17" + (f"; {text}" if text else "")
        lacks = f"two widths in the {name} regime, each with two seeds"
        rows.append(judged(f"variance against h, {name}", where, Expected(-1), variance_slope(part), lacks=lacks))
    return [*rows, _gain(found)]


def variance_slope(ensembles: Sequence[Ensemble]) -> Estimate | None:
    """Exponent of Var ~ h^s at fixed √h·α, one intercept for each √h·α.

    Returns:
        None if no √h·α has two widths.
    """
    return _slope([[(one.h, one) for one in ensembles if one.x == x] for x in sorted({one.x for one in ensembles})])


def pattern_law(table: pd.DataFrame) -> Law:
    """Whether Var grows with the number P of training patterns in the lazy regime at fixed h and √h·α (Fig. 14).

    Args:
        table: of several P, all else the same.
    """
    lines: dict[tuple[int, float], list[tuple[float, Ensemble]]] = {}
    where = "Fig. 14"
    for p, part in table.groupby("P"):
        lazy, text = range_of(part, "lazy")
        where = f"Fig. 14; {text}" if text else where
        for one in ensembles(part) if lazy else []:
            if one.x >= lazy[0]:
                lines.setdefault((one.h, one.x), []).append((float(p), one))
    return above_zero("variance against P, lazy", where, _slope(list(lines.values())), "two P in the lazy regime")


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


def _gain(found: Sequence[Ensemble]) -> Law:
    """Whether the mean of an ensemble errs less than one network, over all cells."""
    name, where = "single error less error of the mean", "Fig. 4c–d; all √hα"
    if not found:
        return above_zero(name, where, None, "two seeds")
    seeds, at = _seeds(found)
    gain = jackknife(lambda weights: np.mean([one.gains(weights[:, at(one)]) for one in found], axis=0), seeds)
    better = sum(one.error < one.singles.mean() for one in found)
    law = above_zero(name, where, gain, "two seeds")
    return replace(law, measured=f"{law.measured}, above 0 in {better} of {len(found)} cells")
