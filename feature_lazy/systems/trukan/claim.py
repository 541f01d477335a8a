"""Whether truncated powers fit what B-splines do, and how kernels of networks of them rest or move."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from scipy.interpolate import BSpline

from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.verdict import ABOVE_ZERO, Expected
from feature_lazy.systems.trukan import PAPER
from feature_lazy.systems.trukan.network import Splines

CHANGE = "kernel/change"
CUBIC, KNOTS = 3, (24, 48, 96)
"""Of the splines that are fit: of 6 … 24 knots pieces are too long for the curve, and the exponent is −4.6."""
POINTS = 2001
"""Of the curve that is fit, e^{sin πx} over [−1, 1]."""
ROUNDING = 1e-12
ALIKE = Expected(0, 1e-8, "rounding")
"""An independent calculation has 4e-14, though ψ of 24 knots have a condition of 2e6."""
ORDER = Expected(-(CUBIC + 1), 0.1, "finite K")
"""What splines of degree k leave of a smooth curve; an independent calculation has −3.93, of another curve."""
RESTS = Expected(0, 1e-10, "rounding")
SAYS = {
    "paper": PAPER,
    "needs": (CHANGE,),
    "outcomes": ("converged", "t_end", "stationary"),
    "across": KINDS,
    "quiet": True,
}
LACKS = "runs of architecture=trukan with architecture.depth=1 and architecture.learnt={}"


@law(
    "fit of a curve by truncated powers less that by B-splines",
    expected=ALIKE,
    lacks="runs of architecture=trukan",
    **SAYS,
)
def same_span(table: pd.DataFrame) -> Estimate | None:
    """0: the largest difference of least squares fits, over K; no seed plays a part in it."""
    x, y = curve()
    gaps = [np.abs(truncated(x, y, knots) - b_splines(x, y, knots)).max() for knots in KNOTS]
    return Estimate(float(max(gaps)), ROUNDING, len(table)) if len(of_splines(table)) else None


@law("error of a fit by truncated powers in K, exponent", expected=ORDER, lacks="runs of architecture=trukan", **SAYS)
def order(table: pd.DataFrame) -> Estimate | None:
    """−(k + 1) of the largest error, against the K + 1 pieces."""
    x, y = curve()
    errors = [np.abs(truncated(x, y, knots) - y).max() for knots in KNOTS]
    slope = np.polyfit(np.log(np.array(KNOTS) + 1), np.log(errors), 1)[0]
    return Estimate(float(slope), ROUNDING, len(table)) if len(of_splines(table)) else None


@law("kernel change of one layer whose knots stay", expected=RESTS, lacks=LACKS.format("false"), **SAYS)
def rests(table: pd.DataFrame) -> Estimate | None:
    """0, at any α: the layer is linear in its weights."""
    return _change(table, learnt=False)


@law("kernel change of one layer whose knots are learnt", expected=ABOVE_ZERO, lacks=LACKS.format("true"), **SAYS)
def moves(table: pd.DataFrame) -> Estimate | None:
    """Above 0."""
    return _change(table, learnt=True)


def of_splines(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of such networks, with ``learnt`` and the number of layers, ``depth``."""
    networks = [run.config.get("architecture", {}) for run in table["run"]]
    mine = np.array([one.get("kind") == "trukan" for one in networks], dtype=bool)
    depth, learnt = ([one.get(key, default) for one in networks] for key, default in (("depth", 2), ("learnt", False)))
    return table.assign(depth=depth, learnt=learnt)[mine]


def _change(table: pd.DataFrame, *, learnt: bool) -> Estimate | None:
    runs = of_splines(table)
    each = runs[(runs["depth"] == 1) & (runs["learnt"] == learnt)].groupby("seed")[CHANGE].mean()
    return average(each.to_numpy()) if len(each) > 1 else None


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
    """Kernel change against √h·α of one layer and of two, with knots that stay and learnt ones, for the atlas."""
    runs = of_splines(table)
    for index, ((depth, learnt), part) in enumerate(runs.groupby(["depth", "learnt"])):
        lines = part.groupby("alpha")[CHANGE].agg(["mean", "sem"])
        name = f"{depth} layer{'s' if depth > 1 else ''}, knots {'are learnt' if learnt else 'stay'}"
        axes.errorbar(lines.index, lines["mean"], lines["sem"], capsize=2, label=name, **look(index))
    axes.set(xscale="log", xlabel="α", ylabel="kernel change ‖Θ − Θ₀‖/‖Θ₀‖")
    axes.set_yscale("symlog", linthresh=1e-4)
    axes.legend()
