"""How the kernel goes to its limit with the width, how it rests there during training, and what F then does."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.exponents import start_slope, width_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import law
from feature_lazy.study.limit_laws import AT_START
from feature_lazy.study.limit_laws import KERNEL as DEVIATION
from feature_lazy.study.process import LACKS, MEAN, VARIANCE, Beside
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Expected
from feature_lazy.systems.ntk import PAPER

CHANGE, SMALLEST = "kernel/change", "kernel/limit_smallest"
RATE, EIGENVALUE = "component/rate_", "component/eigenvalue_"
ALL = (0.0, np.inf)
LAZY = 0.1
"""Kernel change of the narrowest network up to which an α counts: what is of higher order in it is a tenth of it."""
DURING = Expected(-1, 0.1, "finite h")
"""Theorem 2 says that the change vanishes; its orders 1/(αh) and 1/(α²h) both have this exponent (1909.11304,
2106.10165). An independent calculation has −1.05 (L = 1), −0.95 ± 0.03 (L = 2) and −1.01 ± 0.04 (L = 3)."""
MODES = Expected(1, 0.03, "finite h")
"""a(t)_i = a(0)_i e^{−λ_i t/P}. An independent calculation has 0.9986, 0.9995, 0.9997 and 0.984 for the four largest
at h = 8192; the kernel moves by a hundredth at most here, and training follows the flow to a thousandth."""
SAYS = {"paper": PAPER, "quiet": True}
REST = 0.01
ROUNDING = 1e-10
"""Of the expectations that Θ∞ is made of, relative."""


@law(
    "initial kernel against its limit, in h",
    where="Theorem 1",
    needs=(DEVIATION,),
    expected=AT_START,
    lacks="two widths at one α",
    outcomes=("converged", "t_end"),
    **SAYS,
)
def deviation_against_width(table: pd.DataFrame) -> Estimate | None:
    """−½, at t = 0: α plays no part in it."""
    return start_slope(table, DEVIATION)


@law(
    "kernel change at fixed α and t, against h",
    where="Theorem 2",
    needs=(CHANGE, DEVIATION),
    expected=DURING,
    lacks=f"a kernel change at two widths, of one α at which the narrowest's is below {LAZY}",
    outcomes=("t_end",),
    **SAYS,
)
def change_against_width(table: pd.DataFrame) -> Estimate | None:
    """−1 in the lazy regime."""
    return width_slope(lazy(table), CHANGE, ALL, fixed="alpha")


@law(
    "rate of a principal component of y − F, over λ/P",
    where="section 5",
    needs=(f"{RATE}1", CHANGE),
    expected=MODES,
    lacks=f"observe.kernel.components and a kernel that changes by less than {REST}",
    outcomes=("converged", "t_end"),
    **SAYS,
)
def rates(table: pd.DataFrame) -> Estimate | None:
    """1 while the kernel rests: mean over components, whose rates are known, of the widest networks."""
    return of_components(table[(table[CHANGE] < REST) & (table[H] == table[H].max())])


@law(
    "smallest eigenvalue of Θ∞ over the largest, on the sphere",
    where="Proposition 2",
    needs=(SMALLEST,),
    expected=ABOVE_ZERO,
    outcomes=("converged", "t_end"),
    **SAYS,
)
def positive(table: pd.DataFrame) -> Estimate:
    """Above 0 for what is no polynomial; no seed plays a part in it, and its error is that of rounding."""
    found = table[SMALLEST].dropna()
    return Estimate(float(found.min()), ROUNDING, len(found))


@law(
    "f(∞): mean of networks less the Gaussian process', over its error",
    where="section 5",
    expected=MEAN,
    lacks=LACKS,
    outcomes=("converged", "t_end"),
    **SAYS,
)
def mean_at_end(table: pd.DataFrame) -> Estimate | None:
    """1: rms over test points of (mean of M networks − μ)/√(C/M) at the end."""
    found = Beside.of(table, end=True)
    return found and found.mean()


@law(
    "f(∞): variance of networks over the Gaussian process'",
    where="section 5",
    expected=VARIANCE,
    lacks=LACKS,
    outcomes=("converged", "t_end"),
    **SAYS,
)
def variance_at_end(table: pd.DataFrame) -> Estimate | None:
    """1: mean over test points of Var F/C at the end, over networks of the widest h."""
    found = Beside.of(table, end=True)
    return found and found.variance()


def of_components(table: pd.DataFrame) -> Estimate | None:
    """Mean over components of rate·P/λ, its error over seeds; None without one."""
    names = [name.removeprefix(EIGENVALUE) for name in table if name.startswith(EIGENVALUE)]
    rows = np.array([table[RATE + i] * table["P"] / table[EIGENVALUE + i] for i in names]).T
    each = np.array([row[np.isfinite(row)].mean() for row in rows if np.isfinite(row).any()])
    return average(each) if len(each) else None


def lazy(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of those α at which the kernel of the narrowest networks changes by a tenth at most, on average."""
    narrow = table[table[H] == table[H].min()].groupby("alpha")[CHANGE].mean()
    return table[table["alpha"].isin(narrow.index[narrow <= LAZY])]


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The change of the kernel against h, for the atlas."""
    against_width(axes, lazy(table), CHANGE, "kernel change ‖Θ − Θ₀‖/‖Θ₀‖ at the same t", DURING.value)
