"""Two sweeps that differ in one thing, compared cell by cell and seed by seed.

Bias or none (Fig. 16), ε_∇ or a hundredth of it (Fig. 13), F = α(f − f₀) or αf (Fig. 15), the net or its final kernel
(Fig. 8c–d): the same seed has the same initial weights in both, so that most of what seeds do cancels.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean
from feature_lazy.study.regimes import Between, range_of
from feature_lazy.study.table import CELL, H, X, over_seeds, whole
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS, Reading

DIFFERENCE = "difference"
EVERYWHERE = (0.0, np.inf)
ROUNDING = 1e-8
"""Relative difference of two runs that computed the same in another order."""


@dataclass(frozen=True)
class Comparison:
    """A column of one sweep less that of another, over the cells that both have.

    Attributes:
        difference: mean over cells.
        scatter: standard deviation of one run over seeds: what is small beside it does not matter; NaN for one seed.
        cells: how many pairs of runs are behind it.
        same: whether no pair differs, by more than rounding.
    """

    difference: Estimate
    scatter: float
    cells: int
    same: bool = False

    @property
    def negligible(self) -> bool | None:
        """Whether the whole error bar is within the scatter; False if it is all outside; None if neither."""
        size = abs(self.difference.value)
        if size + self.difference.error <= self.scatter:
            return True
        return False if size - self.difference.error > self.scatter else None


def paired(table: pd.DataFrame, other: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows of h, √h·α and seed that both tables have, with ``difference`` = the column of the first less the second."""
    sides = [one[[*CELL, column]].dropna() for one in (table, other)]
    both = sides[0].merge(sides[1], on=CELL, suffixes=("", "_other"))
    return both.assign(**{DIFFERENCE: both[column] - both[f"{column}_other"]})


def by_cell(table: pd.DataFrame, other: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean difference, its standard error and the number of pairs for each h and √h·α, as ``over_seeds``."""
    return over_seeds(paired(table, other, column), DIFFERENCE)


def compare(table: pd.DataFrame, other: pd.DataFrame, column: str, between: Between = EVERYWHERE) -> Comparison | None:
    """The mean difference over cells with √h·α in a range, with its error over seeds; None if there is no pair.

    Of the cells that all seeds have in both tables, see ``exponents.mean``.
    """
    pairs = paired(table, other, column)
    pairs = pairs[pairs[X].between(*between)]
    difference = mean(pairs, DIFFERENCE, between)
    if difference is None:
        return None
    cells = table[CELL][table[X].between(*between)].merge(other[CELL], on=CELL)
    known = [len(one[[*CELL, column]].dropna().merge(cells, on=CELL)) for one in (table, other)]
    same = max(known) == len(pairs) and np.allclose(pairs[column], pairs[f"{column}_other"], rtol=ROUNDING, atol=0)
    pairs = shared if len(shared := whole(pairs, DIFFERENCE)) else pairs
    variances = pairs.groupby([H, X])[f"{column}_other"].var()
    return Comparison(difference, float(np.sqrt(variances.mean())), len(pairs), same)


def negligible(name: str, table: pd.DataFrame, other: pd.DataFrame, column: str = "test/error") -> Reading:
    """That it does not matter in which of two sweeps a run is: the law of Figs. 8c–d, 13 and 16.

    Args:
        name: what the first sweep has and the second has not, such as ``bias``.
        table: first sweep.
        other: second one.
        column: what is compared.
    """
    return _reading(f"{column}: {name}", compare(table, other, column), nothing=True)


def centring_laws(
    table: pd.DataFrame, other: pd.DataFrame, column: str = "test/error", *, label: str = ""
) -> list[Reading]:
    """That removing f₀ matters at large α only (Fig. 15): F = α(f − f₀) in the first sweep, αf in the second.

    Args:
        table: first sweep.
        other: second one.
        column: what is compared.
        label: added to the name.
    """
    rows = []
    for regime, nothing in (("feature", True), ("lazy", False)):
        between, on = range_of(table, regime)
        found = compare(table, other, column, between) if between else None
        rows.append(_reading(f"{column}: f₀ removed, {regime}{label}", found, nothing=nothing, on=on))
    return rows


def _reading(name: str, found: Comparison | None, *, nothing: bool, on: str = "") -> Reading:
    expected = "within the scatter of seeds" if nothing else "beyond the scatter of seeds"
    if found is None:
        needs = "needs runs of both sweeps at the same h, √hα and seed"
        return Reading(expected, needs, CANNOT_TELL, name=name, where=on)
    verdict = CANNOT_TELL
    if found.negligible is not None:
        verdict = AGREES if found.negligible == nothing else DIFFERS
    text = f"{found.difference}; scatter {found.scatter:.3f}, {found.cells} pairs"
    return Reading(expected, text, verdict, found.difference, 0.0, name, on)
