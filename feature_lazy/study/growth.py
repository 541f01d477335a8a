"""How the output grows deep in the feature regime (Fig. 10, eq. 32), from histories."""

import numpy as np
import pandas as pd

from feature_lazy.runs.reading import Run
from feature_lazy.study.exponents import mean, width_slope
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.regimes import regimes, words
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import ABOVE_ZERO, Reading, judged

EARLY = (0.01, 0.2)
"""Times over t_½ between which the output grows in proportion to t."""
EVERYWHERE = (0.0, np.inf)
SLOPE, BEND, AMPLITUDE, AT_HALF, BEFORE = COLUMNS = (
    "growth/slope",
    "growth/bend",
    "growth/amplitude",
    "growth/at_half",
    "growth/before",
)


WHERE = "Fig. 10, eq. 32"


@law("output growth, early exponent of t", paper=ARTICLE, where=WHERE, needs=("run", "t_half"))
def early_exponent(table: pd.DataFrame) -> Reading:
    """‖f − f₀‖ ~ t before it takes off."""
    deep, on, lacks = _deep(table)
    found, bends = mean(deep, SLOPE, EVERYWHERE), mean(deep, BEND, EVERYWHERE)
    return judged(1, found, on=on, bends=bends, lacks=lacks)


@law("output at t½/5 against h", paper=ARTICLE, where=WHERE, needs=("run", "t_half"))
def early_size(table: pd.DataFrame) -> Reading:
    """√h."""
    return _size(table, AMPLITUDE)


@law("output at t½ against h", paper=ARTICLE, where=WHERE, needs=("run", "t_half"))
def size_at_half(table: pd.DataFrame) -> Reading:
    """√h."""
    return _size(table, AT_HALF)


def _size(table: pd.DataFrame, column: str) -> Reading:
    deep, on, lacks = _deep(table)
    return judged(0.5, width_slope(deep, column, EVERYWHERE), on=on, lacks=f"{lacks}, of two widths")


@law("1 − t/t½ at which the output is √h", paper=ARTICLE, where=WHERE, needs=("run", "t_half"))
def before_half(table: pd.DataFrame) -> Reading:
    """It has grown to √h before half of the loss is gone."""
    deep, on, lacks = _deep(table)
    return judged(ABOVE_ZERO, mean(deep, BEFORE, EVERYWHERE), lacks=lacks, on=on)


def _deep(table: pd.DataFrame) -> tuple[pd.DataFrame, str, str]:
    """Runs deep in the feature regime with their growth, where that is, and what is lacking if there are none."""
    ranges = regimes(table)
    if ranges is None:
        return with_growth(table.head(0)), "", "a kernel change through 1"
    return with_growth(table[table[X] <= ranges.deep[1]]), words(ranges.deep), f"runs at {words(ranges.deep)}"


def with_growth(table: pd.DataFrame) -> pd.DataFrame:
    """The table with columns from histories, NaN where a run has no t_½ or too few observations before it.

    ``growth/slope``: exponent of ‖f − f₀‖ ~ t^s over 0.01 … 0.2 t_½, and ``growth/bend`` half of its change over these
    times; ``growth/amplitude``: ‖f − f₀‖ at 0.2 t_½, ``growth/at_half``: at t_½, where it takes off and seeds scatter
    more; ``growth/before``: 1 − t/t_½ at which ‖f − f₀‖ first reaches √h. All
    linear in logarithms between observations.
    """
    rows = [_growth(run, h, half) for run, h, half in zip(table["run"], table[H], table["t_half"], strict=True)]
    return table.assign(**dict(zip(COLUMNS, np.array(rows, dtype=float).reshape(-1, len(COLUMNS)).T, strict=True)))


def _growth(run: Run, h: float, t_half: float) -> tuple[float, ...]:
    history, missing = run.history, (np.nan,) * len(COLUMNS)
    if not t_half > 0 or "output/df_rms" not in history:
        return missing
    t, size = history["t"] / t_half, history["output/df_rms"]
    known = (t > 0) & (size > 0)
    t, size = np.log(t[known]), np.log(size[known])
    early = (t >= np.log(EARLY[0])) & (t <= np.log(EARLY[1]))
    if early.sum() < 3 or t[-1] < 0:
        return missing
    u = t[early] - t[early].mean()
    slope, curvature = np.polyfit(u, size[early], 1)[0], np.polyfit(u, size[early], 2)[0]
    above = np.flatnonzero(size >= np.log(h) / 2)
    before = np.nan
    if len(above) and above[0] > 0:
        i = above[0]
        before = 1 - np.exp(np.interp(np.log(h) / 2, size[i - 1 : i + 1], t[i - 1 : i + 1]))
    amplitude, at_half = np.exp(np.interp([np.log(EARLY[1]), 0.0], t, size))
    return slope, curvature * np.ptp(u), amplitude, at_half, before
