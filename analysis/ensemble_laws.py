"""What predictors of several seeds say: Var ~ 1/h (eq. 17), and the error of their mean (Fig. 4)."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from analysis.ensembles import Ensemble
from analysis.estimate import Estimate, estimate, jackknife
from analysis.regimes import Regimes, words
from analysis.sweep import ensembles
from analysis.verdict import AGREES, CANNOT_TELL, DIFFERS, Expected, Law, judged


def ensemble_laws(table: pd.DataFrame, ranges: Regimes | None) -> list[Law]:
    """The variance's exponent of h in each regime, and what the mean of an ensemble gains."""
    found = ensembles(table)
    rows = []
    for name in ("lazy", "feature"):
        between = getattr(ranges, name) if ranges else None
        part = [one for one in found if between and between[0] <= one.x <= between[1]]
        where = "Fig. 4a–b, eq. 17" + (f"; {words(between)}" if between else "")
        lacks = f"two widths in the {name} regime, each with two seeds"
        rows.append(judged(f"variance against h, {name}", where, Expected(-1), variance_slope(part), lacks=lacks))
    return [*rows, _gain(found)]


def variance_slope(ensembles: Sequence[Ensemble]) -> Estimate | None:
    """Exponent of Var ~ h^s at fixed √h·α, one intercept for each √h·α.

    Returns:
        None if no √h·α has two widths.
    """
    columns = [[one for one in ensembles if one.x == x] for x in sorted({one.x for one in ensembles})]
    columns = [column for column in columns if len(column) > 1]
    if not columns:
        return None
    coordinates = [np.log([one.h for one in column]) for column in columns]
    coordinates = [u - u.mean() for u in coordinates]
    total = sum(u @ u for u in coordinates)

    seeds, at = _seeds(ensembles)

    def exponent(weights: np.ndarray) -> np.ndarray:
        logs = [np.stack([one.log_variances(weights[:, at(one)]) for one in column], 1) for column in columns]
        return np.sum([y @ u for y, u in zip(logs, coordinates, strict=True)], axis=0) / total

    return estimate(exponent, seeds)


def _seeds(found: Sequence[Ensemble]) -> tuple[int, Callable[[Ensemble], np.ndarray]]:
    """How many seeds there are in all, and which of them an ensemble has, as indices."""
    seeds = np.unique(np.concatenate([one.seeds for one in found]))
    return len(seeds), lambda one: np.searchsorted(seeds, one.seeds)


def _gain(found: Sequence[Ensemble]) -> Law:
    """Whether the mean of an ensemble errs less than one network, over all cells."""
    name, where, expected = "single error less error of the mean", "Fig. 4c–d; all √hα", "above 0"
    if not found:
        return Law(name, where, expected, "needs two seeds", CANNOT_TELL)
    seeds, at = _seeds(found)
    gain = jackknife(lambda weights: np.mean([one.gains(weights[:, at(one)]) for one in found], axis=0), seeds)
    sure = np.isfinite(gain.error) and abs(gain.value) > gain.error
    verdict = (AGREES if gain.value > 0 else DIFFERS) if sure else CANNOT_TELL
    better = sum(one.error < one.singles.mean() for one in found)
    return Law(name, where, expected, f"{gain}, above 0 in {better} of {len(found)} cells", verdict, gain, 0.0)
