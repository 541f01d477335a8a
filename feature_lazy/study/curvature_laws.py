"""How far the Hessian is from the Gauss–Newton matrix: what the lazy regime means for the curvature of the loss."""

import numpy as np
import pandas as pd

from feature_lazy.runs.reading import Run
from feature_lazy.study.exponents import slope, width_slope
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.regimes import regimes, words
from feature_lazy.study.verdict import Expected, Reading, judged

RESIDUAL = "hessian/residual"
FRACTION = 0.1
"""Share of the initial loss at which runs are compared: R is a mean over ℓ′, which vanishes as patterns are fit."""
NEEDS = (RESIDUAL, "kernel_change")
OUTCOMES = ("converged", "t_end")
OVER_X = Expected(-1, 0.1, "finite √hα")
"""R carries 1/α explicitly; that ℓ′ and ∂²f at one loss still depend on α is of next order in it. An independent
calculation (tanh, L = 1, h = 32, digits) has −0.99 between √h·α = 10 and 100."""
OVER_H = Expected(0.5, 0.1, "finite h")
"""The entries of ∂²f that count are those between weights of one neuron: for each neuron a block of order 1/√h, which
add in squares over the h of them, so that ‖∂²f‖_F is of order 1 and ‖R‖_F of order 1/α = √h/(√h·α)."""


@law(
    "Hessian less Gauss–Newton, lazy exponent", paper=ARTICLE, where="eq. 7", needs=NEEDS, outcomes=OUTCOMES, quiet=True
)
def residual_over_x(table: pd.DataFrame) -> Reading:
    """−1 in √h·α at each width."""
    return _lazy(table, OVER_X)


@law(
    "Hessian less Gauss–Newton against h, lazy",
    paper=ARTICLE,
    where="eq. 7",
    needs=NEEDS,
    outcomes=OUTCOMES,
    quiet=True,
)
def residual_over_h(table: pd.DataFrame) -> Reading:
    """½ at fixed √h·α, for Frobenius norms: it is 1/α that they know."""
    return _lazy(table, OVER_H)


def _lazy(table: pd.DataFrame, expected: Expected) -> Reading:
    ranges = regimes(table)
    if ranges is None or ranges.lazy is None:
        return judged(expected, None, lacks="a lazy regime, which the kernel change does not show")
    table = table.assign(residual=[at_fraction(run) for run in table["run"]])
    exponent = slope if expected is OVER_X else width_slope
    found = exponent(table, "residual", ranges.lazy)
    on = f"at {FRACTION:g} of the initial loss, {words(ranges.lazy)}"
    return judged(
        expected, found, on=on, lacks=f"two runs with {words(ranges.lazy)} that come to {FRACTION:g} of the loss"
    )


def at_fraction(run: Run, fraction: float = FRACTION) -> float:
    """‖R‖/‖G‖ where the training loss has first fallen to a share of the initial one; NaN where it never does.

    Between observations it is linear in logarithms.
    """
    history = run.history
    if RESIDUAL not in history or "train/loss" not in history:
        return np.nan
    loss, residual = (np.asarray(history[name], dtype=float) for name in ("train/loss", RESIDUAL))
    known = np.isfinite(residual) & (loss > 0)
    if not known.any():
        return np.nan
    gone, logs = np.log(loss[known] / (fraction * loss[0])), np.log(residual[known])
    below = np.flatnonzero(gone <= 0)
    if not len(below) or below[0] == 0:
        return np.nan
    i = below[0]
    share = gone[i - 1] / (gone[i - 1] - gone[i])
    return float(np.exp(logs[i - 1] + share * (logs[i] - logs[i - 1])))
