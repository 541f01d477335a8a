"""How the output grows deep in the feature regime (Fig. 10, eq. 32), from histories."""

import numpy as np
import pandas as pd

from analysis.exponents import mean, width_slope
from analysis.regimes import Regimes, words
from analysis.sweep import X
from analysis.verdict import AGREES, CANNOT_TELL, DIFFERS, Expected, Law, judged
from feature_lazy.runs import Run

EARLY = (0.01, 0.2)
"""Times over t_½ between which the output grows in proportion to t."""
SLOPE, AT_HALF, CROSSES = "growth/slope", "growth/at_half", "growth/crosses"


def growth_laws(table: pd.DataFrame, ranges: Regimes | None) -> list[Law]:
    """Early slope of ‖f − f₀‖ against t, its size ~ √h at t_½, and when it has grown to √h."""
    where, lacks = "Fig. 10, eq. 32", "a kernel change through 1"
    deep = table.head(0)
    if ranges:
        where, lacks = f"{where}; {words(ranges.deep)}", f"runs at {words(ranges.deep)}"
        deep = table[table[X] <= ranges.deep[1]]
    deep = with_growth(deep)
    everywhere = (0.0, np.inf)
    rows = [
        judged("output growth, early exponent of t", where, Expected(1), mean(deep, SLOPE, everywhere), lacks=lacks),
        judged(
            "output at t½ against h",
            where,
            Expected(0.5),
            width_slope(deep, AT_HALF, everywhere),
            lacks=f"{lacks}, of two widths",
        ),
    ]
    return [*rows, _crossing_law(deep, where, lacks)]


def _crossing_law(deep: pd.DataFrame, where: str, lacks: str) -> Law:
    name, expected = "output reaches √h at t/t½", "below 1"
    found = mean(deep, CROSSES, (0.0, np.inf))
    if found is None:
        return Law(name, where, expected, f"needs {lacks}", CANNOT_TELL, None, 1.0)
    verdict = CANNOT_TELL
    if np.isfinite(found.error) and abs(found.value - 1) > found.error:
        verdict = AGREES if found.value < 1 else DIFFERS
    return Law(name, where, expected, str(found), verdict, found, 1.0)


def with_growth(table: pd.DataFrame) -> pd.DataFrame:
    """The table with three columns from histories, NaN where a run has no t_½ or too few observations before it.

    ``growth/slope``: exponent of ‖f − f₀‖ ~ t^s over 0.01 … 0.2 t_½; ``growth/at_half``: ‖f − f₀‖ at t_½;
    ``growth/crosses``: t/t_½ at which ‖f − f₀‖ first reaches √h. All linear in logarithms between observations.
    """
    rows = [_growth(run, h, half) for run, h, half in zip(table["run"], table["h"], table["t_half"], strict=True)]
    names = (SLOPE, AT_HALF, CROSSES)
    return table.assign(**{name: np.array([row[i] for row in rows], dtype=float) for i, name in enumerate(names)})


def _growth(run: Run, h: float, t_half: float) -> tuple[float, float, float]:
    history, missing = run.history, (np.nan,) * 3
    if not t_half > 0 or "output/df_rms" not in history:
        return missing
    t, size = history["t"] / t_half, history["output/df_rms"]
    known = (t > 0) & (size > 0)
    t, size = np.log(t[known]), np.log(size[known])
    early = (t >= np.log(EARLY[0])) & (t <= np.log(EARLY[1]))
    if early.sum() < 2 or t[-1] < 0:
        return missing
    slope = np.polyfit(t[early], size[early], 1)[0]
    above = np.flatnonzero(size >= np.log(h) / 2)
    crosses = np.nan
    if len(above) and above[0] > 0:
        i = above[0]
        crosses = np.exp(np.interp(np.log(h) / 2, size[i - 1 : i + 1], t[i - 1 : i + 1]))
    return float(slope), float(np.exp(np.interp(0.0, t, size))), float(crosses)
