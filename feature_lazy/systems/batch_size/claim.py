"""The largest eigenvalue of the Gauss–Newton matrix on batches, and the largest stable learning rate, against size."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.plan import stored_also
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean, width_slope
from feature_lazy.study.figures.axes import guide, tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H, X, along
from feature_lazy.study.verdict import Expected
from feature_lazy.systems.batch_size import PAPER

SHIFT, LARGEST, TRACE, LOSS = "ggn/batch_shift", "ggn/lambda_max", "hessian/trace", "train/loss"
ALL = (0.0, np.inf)
SECOND_FROM, ALL_OVER = 16, 8
"""The second order in 1/B is held against batches of 16 and more, up to an eighth of all patterns: beyond, the shift
drowns in its error."""
EXPONENT = Expected(-1, 0.1, "next order in 1/B")
"""An independent calculation (two layers, ReLU, digits, P = 1000, B = 8 … 512) has −1.02."""
PREFACTOR = Expected(1, 0.05, "next order in 1/B")
"""The same calculation has 0.90 at B = 8 and 0.97 … 1.05 at B = 16 … 64."""
OUTCOMES = ("converged", "t_end")
APART = 4
"""Batches count as small, and as large, so far below and above tr G/λ₁, at which the noise is as large as λ₁."""
LINEAR = Expected(1, 0.15, "finite tr G/(λ₁B)")
SATURATED = Expected(0, 0.15, "finite tr G/(λ₁B)")
"""Of a mean square that just does not grow, lr ~ 1/(λ₁ + tr G·(1/B − 1/P)): 0.92 from B = 1 to 4, and 0.09 from 160 on,
where tr G/λ₁ = 26."""
EDGE = Expected(1, 0.1, "steps of 8 % in lr")
"""lr·λ₁ = 2 is where gradient descent on a kernel at rest begins to grow. At √h·α = 100 it was stable up to 1.5 times
that: what grows moves the kernel, which catches it, so that the sweep is far lazier."""
STABLE = {
    "paper": PAPER,
    "where": "linear scaling, which saturates",
    "needs": (LOSS, LARGEST, TRACE),
    "outcomes": (),
    "across": KINDS,
    "quiet": True,
}


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


@law("largest stable learning rate against B, small B", expected=LINEAR, lacks="two small batches", **STABLE)
def stable_when_small(table: pd.DataFrame) -> Estimate | None:
    """1."""
    rows, scale = stable_rates(table)
    return _exponent(rows[rows["B"] <= scale / APART])


@law("largest stable learning rate against B, large B", expected=SATURATED, lacks="two large batches", **STABLE)
def stable_when_large(table: pd.DataFrame) -> Estimate | None:
    """0."""
    rows, scale = stable_rates(table)
    return _exponent(rows[rows["B"] >= scale * APART])


@law("largest stable learning rate on all patterns, times λ₁/2", expected=EDGE, lacks="SGD on all patterns", **STABLE)
def stable_on_all(table: pd.DataFrame) -> Estimate | None:
    """1."""
    rows, _ = stable_rates(table)
    return mean(rows.assign(edge=rows["stable"] * rows["largest"] / 2), "edge", ALL)


def stable_rates(table: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """The largest stable learning rate of SGD with mse for each batch size and seed, and tr G/λ₁ at t = 0.

    Stable is a rate that has brought the training loss down, as have all below it; the largest is half way, in
    logarithms, to the first that has not, or has ended in numbers that are not finite.

    Returns:
        Columns ``B``, ``stable``, NaN where no rate or every rate is stable, and ``largest``, λ₁ at t = 0 where it was
        looked at; and the mean of tr G/λ₁, NaN where it was not.
    """
    dynamics = [run.config.get("dynamics", {}) for run in table["run"]]
    rows = table.assign(
        B=[one.get("batch", np.nan) for one in dynamics],
        lr=[one.get("lr", np.nan) for one in dynamics],
        down=[_down(run) for run in table["run"]],
        **{name: along(table, name, lambda curve: curve[0]) for name in (LARGEST, TRACE)},
    )
    rows = rows[[one.get("kind") == "sgd" and one.get("units") == "article" for one in dynamics]]
    places = ["B", H, X, "alpha", "seed"]
    found = [
        dict(zip(places, place, strict=True)) | {"stable": _largest(part), "largest": part[LARGEST].mean()}
        for place, part in rows.groupby(places)
    ]
    scale = float((rows[TRACE] / rows[LARGEST]).mean()) if len(rows) else np.nan
    return pd.DataFrame(found, columns=[*places, "stable", "largest"]), scale


def _down(run: Run) -> bool:
    loss = run.history[LOSS]
    return bool(run.summary["outcome"] in OUTCOMES and loss[-1] < loss[0])


def _largest(part: pd.DataFrame) -> float:
    part = part.sort_values("lr")
    rates, down = part["lr"].to_numpy(float), part["down"].to_numpy(bool)
    first = int(np.argmin(down))
    return float(np.sqrt(rates[first - 1] * rates[first])) if down[0] and not down.all() else np.nan


def _exponent(rows: pd.DataFrame) -> Estimate | None:
    return width_slope(rows.assign(**{H: rows["B"]}), "stable", ALL, fixed="alpha")


def shifts(run: Run) -> pd.DataFrame:
    """λ₁(B) − λ₁ of a run at t = 0, a row for each B up to an eighth of the patterns.

    Columns ``B``, ``inverse``, which is 1/B − 1/P, ``shift``, and ``second``, which is what second order has for it.
    """
    keys = stored_also(run).get("curvature", {})
    history, n = run.history, keys.get("patterns", np.nan)
    sizes = [size for size in sorted(keys.get("batches", [])) if size <= n / ALL_OVER]
    inverse = np.array([1 / size - 1 / n for size in sizes])
    whole, second = (history[name][0] if sizes else np.nan for name in (LARGEST, SHIFT))
    found = np.array([history[f"ggn/batch_{size}"][0] for size in sizes]) - whole
    return pd.DataFrame({"B": sizes, "inverse": inverse, "shift": found, "second": second * inverse})


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
    rows = pd.concat([shifts(run) for run in table["run"] if stored_also(run).get("curvature", {}).get("batches")])
    rows = rows.groupby("B")
    found, error = rows["shift"].mean(), rows["shift"].sem()
    axes.errorbar(found.index, found, error, capsize=2, label="measured", **look(0))
    axes.plot(found.index, rows["second"].mean(), label="second order in 1/B − 1/P", **look(1))
    ends, low = found.index.to_numpy(float), float(found.iloc[0]) * 0.6
    guide(axes, (ends[0], ends[-1]), (ends[0], low), -1, "$B^{-1}$")
    axes.set(xscale="log", yscale="log", xlabel="patterns B of a batch", ylabel="λ₁(B) − λ₁, Gauss–Newton")
    axes.legend()
    tidy(axes.xaxis)
    tidy(axes.yaxis)
