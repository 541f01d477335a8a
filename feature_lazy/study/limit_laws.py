"""How kernels of initial networks go to their limits with the width, for every network that has a limit."""

import pandas as pd

from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import start_slope
from feature_lazy.study.law import law
from feature_lazy.study.verdict import Expected

KERNEL, COVARIANCE = "kernel/limit_deviation", "kernel/nngp_deviation"
AT_START = Expected(-0.5, 0.1, "finite h")
"""Layer by layer a kernel of initial weights is a mean over h terms of one law. The tenth is for the next order, 1/h,
at small h; an independent calculation has −0.505 ± 0.016 for Θ (tanh, h = 32 … 2048)."""


@law(
    "initial covariance of outputs against its limit, in h",
    paper="1711.00165",
    where="Gaussian process of infinite width",
    needs=(COVARIANCE,),
    expected=AT_START,
    lacks="two widths",
    outcomes=("converged", "t_end"),
    quiet=True,
)
def covariance_against_width(table: pd.DataFrame) -> Estimate | None:
    """−½, at t = 0."""
    return start_slope(table, COVARIANCE)
