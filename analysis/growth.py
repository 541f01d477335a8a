"""How the output grows deep in the feature regime (Fig. 10, eq. 32), from histories."""

import numpy as np
import pandas as pd

from analysis.exponents import mean, width_slope
from analysis.regimes import Regimes, words
from analysis.sweep import H, X
from analysis.verdict import Expected, Law, above_zero, judged
from feature_lazy.runs.reading import Run

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


def growth_laws(table: pd.DataFrame, ranges: Regimes | None) -> list[Law]:
    """Early slope of ‖f − f₀‖ against t, its size ~ √h at t_½/5 and at t_½, and when it has grown to √h."""
    where, lacks = "Fig. 10, eq. 32", "a kernel change through 1"
    deep = table.head(0)
    if ranges:
        where, lacks = f"{where}; {words(ranges.deep)}", f"runs at {words(ranges.deep)}"
        deep = table[table[X] <= ranges.deep[1]]
    deep = with_growth(deep)
    early, bends = mean(deep, SLOPE, EVERYWHERE), mean(deep, BEND, EVERYWHERE)
    sizes = {"t½/5": width_slope(deep, AMPLITUDE, EVERYWHERE), "t½": width_slope(deep, AT_HALF, EVERYWHERE)}
    two = f"{lacks}, of two widths"
    return [
        judged("output growth, early exponent of t", where, Expected(1), early, bends=bends, lacks=lacks),
        *(judged(f"output at {t} against h", where, Expected(0.5), found, lacks=two) for t, found in sizes.items()),
        above_zero("1 − t/t½ at which the output is √h", where, mean(deep, BEFORE, EVERYWHERE), lacks),
    ]


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
