"""The largest eigenvalue of the Gauss–Newton matrix on batches, against their size."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.plan import stored_also
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean
from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import law
from feature_lazy.study.verdict import Expected
from feature_lazy.systems.batch_size import PAPER

SHIFT, LARGEST = "ggn/batch_shift", "ggn/lambda_max"
ALL = (0.0, np.inf)
SECOND_FROM, ALL_OVER = 16, 8
"""The second order in 1/B is held against batches of 16 and more, up to an eighth of all patterns: beyond, the shift
drowns in its error."""
EXPONENT = Expected(-1, 0.1, "next order in 1/B")
"""An independent calculation (two layers, ReLU, digits, P = 1000, B = 8 … 512) has −1.02."""
PREFACTOR = Expected(1, 0.05, "next order in 1/B")
"""The same calculation has 0.90 at B = 8 and 0.97 … 1.05 at B = 16 … 64."""
OUTCOMES = ("converged", "t_end")


@law(
    "largest eigenvalue on B patterns less that on all, against 1/(1/B − 1/P)",
    paper=PAPER,
    where="additive noise, λ₁(B)",
    needs=(SHIFT, LARGEST),
    expected=EXPONENT,
    lacks="two sizes in observe.also.curvature.batches, up to an eighth of the patterns",
    outcomes=OUTCOMES,
    quiet=True,
)
def shift_against_batch(table: pd.DataFrame) -> Estimate | None:
    """−1, at t = 0."""
    return mean(table.assign(slope=[_slope(run) for run in table["run"]]), "slope", ALL)


@law(
    "largest eigenvalue on B patterns less that on all, over second order",
    paper=PAPER,
    where="second order in 1/B, without a law of the patterns",
    needs=(SHIFT, LARGEST),
    expected=PREFACTOR,
    lacks="sizes in observe.also.curvature.batches, from 16 up to an eighth of the patterns",
    outcomes=OUTCOMES,
    quiet=True,
)
def shift_over_second_order(table: pd.DataFrame) -> Estimate | None:
    """1, at t = 0, the mean over sizes."""
    return mean(table.assign(ratio=[_ratio(run) for run in table["run"]]), "ratio", ALL)


def shifts(run: Run) -> pd.DataFrame:
    """λ₁(B) − λ₁ of a run at t = 0, a row for each B up to an eighth of the patterns.

    Columns ``B``, ``inverse``, which is 1/B − 1/P, ``shift``, and ``second``, which is what second order has for it.
    """
    keys = stored_also(run).get("curvature", {})
    history, n = run.history, keys.get("patterns", np.nan)
    sizes = [size for size in sorted(keys.get("batches", [])) if size <= n / ALL_OVER]
    inverse = np.array([1 / size - 1 / n for size in sizes])
    found = np.array([history[f"ggn/batch_{size}"][0] for size in sizes]) - history[LARGEST][0]
    return pd.DataFrame({"B": sizes, "inverse": inverse, "shift": found, "second": history[SHIFT][0] * inverse})


def _slope(run: Run) -> float:
    rows = shifts(run)
    if len(rows) < 2 or not (rows["shift"] > 0).all():
        return np.nan
    return float(np.polyfit(-np.log(rows["inverse"]), np.log(rows["shift"]), 1)[0])


def _ratio(run: Run) -> float:
    rows = shifts(run)
    rows = rows[rows["B"] >= SECOND_FROM]
    return float((rows["shift"] / rows["second"]).mean()) if len(rows) else np.nan


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The shift against the size of the batch, and its second order, for the atlas."""
    rows = pd.concat([shifts(run) for run in table["run"]]).groupby("B")
    found, error = rows["shift"].mean(), rows["shift"].sem()
    axes.errorbar(found.index, found, error, capsize=2, label="measured", **look(0))
    axes.plot(found.index, rows["second"].mean(), label="second order in 1/B − 1/P", **look(1))
    ends, low = found.index.to_numpy(float), float(found.iloc[0]) * 0.6
    guide(axes, (ends[0], ends[-1]), (ends[0], low), -1, "$B^{-1}$")
    axes.set(xscale="log", yscale="log", xlabel="patterns B of a batch", ylabel="λ₁(B) − λ₁, Gauss–Newton")
    axes.legend()
    tidy(axes.xaxis)
    tidy(axes.yaxis)
