"""Whether truncated powers fit what B-splines do, how kernels of their networks rest or move, and what MLPs reach."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from scipy.interpolate import BSpline

from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.exponents import mean, slope
from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.trukan import PAPER
from feature_lazy.systems.trukan.network import Splines

CHANGE, EXCESS = "kernel/change", "test/excess"
SPLINE, MLP = "trukan", "fully_connected"
CUBIC, KNOTS = 3, (24, 48, 96)
"""Of the splines that are fit: pieces of fewer knots are too long for the curve to be smooth on each."""
MANY = (3, 6, 12, *KNOTS)
"""Knots that are drawn."""
POINTS = 2001
"""Of the curve that is fit, e^{sin πx} over [−1, 1]."""
ROUNDING = 1e-12
"""Error of what no seed plays a part in."""
ALIKE = Bound(1e-8, "below")
"""An independent calculation has 4e-14 up to K = 24; ψ of 96 knots have a condition of 5·10⁸."""
ORDER = Expected(-(CUBIC + 1), 0.1, "finite K")
"""What splines of degree k leave of a smooth curve; an independent calculation has −3.93 over K = 4 … 24."""
RESTS = Bound(1e-10, "below")
"""Rounding, as that of the fits: a difference from 0 would be judged to 0.01."""
LAZY = Expected(-1, 0.1, "finite α")
"""At fixed t weights move as 1/α, and what is of second order is as small against it as the change itself."""
LESS = Bound(1)
"""An independent calculation, by 120 updates of L-BFGS from two starts, has 0.0494 of an MLP with 85 weights over
0.0333 of TruKAN with 94: 1.5."""
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end", "stationary"), "across": KINDS, "quiet": True}
SPLINES = "runs of architecture=trukan"


@law("fit of a curve by truncated powers less that by B-splines", expected=ALIKE, lacks=SPLINES, **SAYS)
def same_span(table: pd.DataFrame) -> Estimate | None:
    """0: the largest difference of least squares fits, over K."""
    return _of_fits(table, lambda x, y: max(np.abs(truncated(x, y, k) - b_splines(x, y, k)).max() for k in KNOTS))


@law("error of a fit by truncated powers in K + 1, exponent", expected=ORDER, lacks=SPLINES, **SAYS)
def order(table: pd.DataFrame) -> Estimate | None:
    """−(k + 1) of the largest error, against the K + 1 pieces."""

    def exponent(x: np.ndarray, y: np.ndarray) -> float:
        errors = [np.abs(truncated(x, y, knots) - y).max() for knots in KNOTS]
        return np.polyfit(np.log(np.array(KNOTS) + 1), np.log(errors), 1)[0]

    return _of_fits(table, exponent)


@law(
    "kernel change of one layer whose knots stay",
    needs=(CHANGE,),
    expected=RESTS,
    lacks=f"{SPLINES} with depth=0",
    **SAYS,
)
def rests(table: pd.DataFrame) -> Estimate | None:
    """0, at any α: the layer is linear in its weights."""
    return mean(one_layer(table, learnt=False), CHANGE, (0.0, np.inf))


@law(
    "kernel change of one layer whose knots are learnt, in α",
    needs=(CHANGE,),
    expected=LAZY,
    lacks=f"{SPLINES} with depth=0 and learnt=true, at two α",
    **SAYS,
)
def moves(table: pd.DataFrame) -> Estimate | None:
    """−1: knots move the less, the larger α."""
    return slope(one_layer(table, learnt=True), CHANGE, (0.0, np.inf))


@law(
    "rms test error of an MLP over that of TruKAN",
    needs=(EXCESS,),
    expected=LESS,
    lacks=f"{SPLINES} and of fully_connected, of as many weights, on real targets",
    **SAYS,
)
def fewer_errors(table: pd.DataFrame) -> Estimate | None:
    """Above 1, with as many weights: the geometric mean over seeds."""
    logs = np.log(errors(table))
    if len(logs) < 2:
        return None
    ratio = average((logs[MLP] - logs[SPLINE]).to_numpy())
    value = float(np.exp(ratio.value))
    return Estimate(value, float(value * np.expm1(ratio.error)), ratio.seeds)


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """Root of the mean square test error, of seeds with both: columns ``MLP`` and ``SPLINE``, whose knots stay."""
    kinds = {(MLP, None): MLP, (SPLINE, False): SPLINE}
    networks = [run.config.get("architecture", {}) for run in table["run"]]
    names = [kinds.get((n.get("kind"), n.get("learnt"))) if n.get("depth") else None for n in networks]
    found = table.assign(network=names, rmse=np.sqrt(table[EXCESS])).pivot_table("rmse", "seed", "network")
    return found.reindex(columns=[MLP, SPLINE]).dropna()


def one_layer(table: pd.DataFrame, *, learnt: bool) -> pd.DataFrame:
    """Runs of a single layer of splines whose knots stay, or are learnt."""
    networks = [run.config.get("architecture", {}) for run in table["run"]]
    is_one = [(n.get("kind"), n.get("depth"), n.get("learnt")) == (SPLINE, 0, learnt) for n in networks]
    return table[np.array(is_one, dtype=bool)]


def _of_fits(table: pd.DataFrame, value: Callable[[np.ndarray, np.ndarray], float]) -> Estimate | None:
    splines = any(run.config.get("architecture", {}).get("kind") == SPLINE for run in table["run"])
    return Estimate(float(value(*curve())), ROUNDING, len(table)) if splines else None


def curve() -> tuple[np.ndarray, np.ndarray]:
    """x and e^{sin πx}."""
    x = np.linspace(-1, 1, POINTS)
    return x, np.exp(np.sin(np.pi * x))


def truncated(x: np.ndarray, y: np.ndarray, knots: int) -> np.ndarray:
    """Least squares fit by the network's own functions."""
    return _fit(Splines(CUBIC, knots).basis(torch.from_numpy(x)).numpy(), y)


def b_splines(x: np.ndarray, y: np.ndarray, knots: int) -> np.ndarray:
    """Least squares fit by B-splines with the same knots, and those at the ends k + 1 times."""
    inner = np.linspace(-1, 1, knots + 2)
    ends = np.concatenate([[-1.0] * CUBIC, inner, [1.0] * CUBIC])
    return _fit(BSpline.design_matrix(x, ends, CUBIC).toarray(), y)


def _fit(basis: np.ndarray, y: np.ndarray) -> np.ndarray:
    return basis @ np.linalg.lstsq(basis, y, rcond=None)[0]


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Largest error of fits against the number of pieces, and the exponent that is expected, for the atlas."""
    del table  # no run plays a part in it
    x, y = curve()
    pieces = np.array(MANY) + 1
    left = {fit: [np.abs(fit(x, y, knots) - y).max() for knots in MANY] for fit in (truncated, b_splines)}
    axes.plot(pieces, left[truncated], label="truncated powers", **{**look(0), "marker": ""})
    axes.plot(pieces, left[b_splines], label="B-splines", **{**look(1), "linestyle": ""})
    guide(axes, (25, 97), (28, 0.03 * left[truncated][-3]), ORDER.value, f"$(K + 1)^{{{ORDER.value:g}}}$")
    axes.set(xscale="log", yscale="log", xlabel="pieces K + 1", ylabel="largest error of a cubic fit")
    axes.legend()
    tidy(axes.xaxis)
