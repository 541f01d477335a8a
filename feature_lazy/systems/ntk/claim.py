"""How the kernel goes to its limit with the width, and how it rests there during training."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import width_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import law
from feature_lazy.study.limit_laws import AT_START, start_slope
from feature_lazy.study.limit_laws import KERNEL as DEVIATION
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Expected
from feature_lazy.systems.ntk import PAPER

CHANGE = "kernel/change"
ALL = (0.0, np.inf)
LAZY = 0.1
"""Kernel change of the narrowest network up to which an α counts: what is of higher order in it is a tenth of it."""
DURING = Expected(-1, 0.1, "finite h")
"""Theorem 2 says that the change vanishes; its orders 1/(αh) and 1/(α²h) both have this exponent (1909.11304,
2106.10165). An independent calculation has −1.05 (L = 1), −0.95 ± 0.03 (L = 2) and −1.01 ± 0.04 (L = 3)."""


@law(
    "initial kernel against its limit, in h",
    paper=PAPER,
    where="Theorem 1",
    needs=(DEVIATION,),
    expected=AT_START,
    lacks="two widths at one α",
    outcomes=("converged", "t_end"),
    quiet=True,
)
def deviation_against_width(table: pd.DataFrame) -> Estimate | None:
    """−½, at t = 0: α plays no part in it."""
    return start_slope(table, DEVIATION)


@law(
    "kernel change at fixed α and t, against h",
    paper=PAPER,
    where="Theorem 2",
    needs=(CHANGE, DEVIATION),
    expected=DURING,
    lacks=f"a kernel change at two widths, of one α at which the narrowest's is below {LAZY}",
    outcomes=("t_end",),
    quiet=True,
)
def change_against_width(table: pd.DataFrame) -> Estimate | None:
    """−1 in the lazy regime."""
    return width_slope(lazy(table), CHANGE, ALL, fixed="alpha")


def lazy(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of those α at which the kernel of the narrowest networks changes by a tenth at most, on average."""
    narrow = table[table[H] == table[H].min()].groupby("alpha")[CHANGE].mean()
    return table[table["alpha"].isin(narrow.index[narrow <= LAZY])]


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The change of the kernel against h, for the atlas."""
    against_width(axes, lazy(table), CHANGE, "kernel change ‖Θ − Θ₀‖/‖Θ₀‖ at the same t", DURING.value)
