"""Whether the tail of a layer's spectrum orders networks by their test error, and rests in the lazy regime."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate, average, estimate
from feature_lazy.study.exponents import mean
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.ranking import LEAST, by_network, kendall
from feature_lazy.study.table import along
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.setol import PAPER

ALPHA, KS, ERROR = "spectra/W1/alpha", "spectra/W1/ks", "test/error"
BEGIN, TRACE_LOG = "spectra/W1/lambda_min", "spectra/W1/erg_lambda_min"
LAZY = 1e3
"""√h·α from which on weights move by less than a thousandth, so that the nearest tail stays the same."""
FEATURE = 30.0
"""√h·α up to which they move by as much as they are."""
TAIL = 0.1
"""Kolmogorov–Smirnov distance up to which a tail is one: Gaussian entries have 0.13."""
RESTS = Expected(1, 0.05, "the nearest tail may jump")
OF = {"paper": PAPER, "outcomes": ("converged", "t_end"), "across": KINDS, "quiet": True}
LACKS = f"{LEAST} learning rates of networks with √hα ≤ {FEATURE:g}"


@law("τ of α of W1 and test error", needs=(ALPHA, ERROR), expected=ABOVE_ZERO, lacks=LACKS, **OF)
def order(table: pd.DataFrame) -> Estimate | None:
    """Above 0, the mean of each seed's own τ over learning rates.

    An independent calculation has α = 9.3, 6.5, 4.7, 3.2 at errors of 0.120, 0.089, 0.069, 0.062.
    """
    seeds = [part[[ALPHA, ERROR]].dropna().to_numpy(float) for _, part in learnt(table).groupby("seed")]
    found = [kendall(*points.T, np.ones((1, len(points))))[0] for points in seeds if len(points) >= LEAST]
    return average(np.array(found)) if found else None


@law(
    "ln of λ_min over that of the trace-log condition, against α of W1",
    needs=(ALPHA, BEGIN, TRACE_LOG),
    expected=ABOVE_ZERO,
    lacks=LACKS,
    **OF,
)
def begins(table: pd.DataFrame) -> Estimate | None:
    """Above 0: both approach each other as the tail becomes heavy; the same calculation has 5.8, 5.4, 4.5 and 2.9."""
    rows = learnt(table)
    return _slope(rows.assign(gap=np.log(rows[BEGIN] / rows[TRACE_LOG])), "gap", ALPHA)


@law("α of W1 over that at the start, lazy", needs=(ALPHA,), expected=RESTS, lacks=f"√hα ≥ {LAZY:g}", **OF)
def rests(table: pd.DataFrame) -> Estimate | None:
    """1: spectra of weights stay as they begin."""
    return mean(_changed(table), "ratio", (LAZY, np.inf))


@law("α of W1 over that at the start, best", needs=(ALPHA, ERROR), expected=Bound(1, "below"), lacks=LACKS, **OF)
def falls(table: pd.DataFrame) -> Estimate | None:
    """Below 1 at the learning rate with the least test error, the control."""
    rows = _changed(learnt(table))
    if rows.empty:
        return None
    return mean(rows[rows["lr"] == rows.groupby("lr")[ERROR].mean().idxmin()], "ratio", (0, np.inf))


def learnt(table: pd.DataFrame) -> pd.DataFrame:
    """Runs outside of the lazy regime that were trained by updates, with ``lr``."""
    table = table.assign(lr=[run.config.get("dynamics", {}).get("lr", np.nan) for run in table["run"]])
    return table[(table["sqrt_h_alpha"] <= FEATURE) & table["lr"].notna()]


def _changed(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(ratio=along(table, ALPHA, lambda curve: curve[-1] / curve[0]))


def _slope(table: pd.DataFrame, y: str, x: str) -> Estimate | None:
    """Slope of one column in another, with an intercept for each seed; None where no seed has two points."""
    known = table.dropna(subset=[x, y])
    deviations = known[[x, y]] - known.groupby("seed")[[x, y]].transform("mean")
    sums = pd.DataFrame({"uu": deviations[x] ** 2, "uy": deviations[x] * deviations[y]}).groupby(known["seed"]).sum()
    uu, uy = sums[sums["uu"] > 0].to_numpy(float).T
    return estimate(lambda weights: (weights @ uy) / (weights @ uu), len(uu)) if len(uu) else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """α of W1 against the test error over learning rates, for the atlas; what is no power law is hollow."""
    rows = learnt(table)
    points = by_network(rows, (ALPHA, ERROR, KS)).sort_values(ERROR)
    axes.plot(points[ERROR], points[ALPHA], **look(0) | {"marker": ""})
    for some, fill in ((points[KS] <= TAIL, "full"), (points[KS] > TAIL, "none")):
        label = f"distance from a power law {'≤' if fill == 'full' else '>'} {TAIL:g}"
        axes.plot(points[ERROR][some], points[ALPHA][some], "o", color=look(0)["color"], fillstyle=fill, label=label)
    axes.axhline(along(rows, ALPHA, lambda curve: curve[0]).mean(), color="grey", lw=0.8, ls="--", label="at the start")
    axes.set(xlabel="test error", ylabel="exponent α of the tail of W¹")
    axes.set_ylim(bottom=0)
    axes.legend()
