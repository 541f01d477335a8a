"""How far a predictor is from the best one, E[X₀|X_t], along training: at its best, at its end, and where it stops."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.kernels import mse_prediction
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.exponents import start_slope
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.limit_laws import AT_START
from feature_lazy.study.limit_laws import KERNEL as DEVIATION
from feature_lazy.study.table import H, X
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.score_estimation import PAPER

EXCESS, HELD_OUT = "test/excess", "valid/loss"
LAZY = 25.0
"""√h·α from which on runs count: the claim is on kernels."""
FITTED = 5e3
"""Time from which on runs count as having fit the noise, over min(1, √h·α)."""
END = Expected(0, 0.15, "finite t")
"""What interpolates noise has the excess of the noise, whatever P. An independent calculation (infinite width, L = 2,
P = 50 … 800) has −0.06 ± 0.05; modes that are not yet fit, more of them at larger P, are what the rest is for."""
SAYS = {"paper": PAPER, "outcomes": ("t_end", "converged", "stationary"), "quiet": True}
LACKS = "lazy runs of two splits on dataset=score, with labels=regression, to t = 5e3"


@law(
    "least excess risk over that at the end",
    where="early stopping",
    needs=(EXCESS,),
    expected=Bound(0.3, "below"),
    lacks=LACKS,
    across=KINDS,
    **SAYS,
)
def early(table: pd.DataFrame) -> Estimate | None:
    """Below 0.3, and so below ⅓: the largest over P of the geometric means over splits."""
    runs = of_splits(table)
    found = [_mean(np.log(part["least"] / part["end"])) for _, part in runs.groupby("P") if len(part) > 1]
    if not found:
        return None
    worst = max(found, key=lambda one: one.value)
    ratio = float(np.exp(worst.value))
    return Estimate(ratio, float(ratio * np.expm1(worst.error)), worst.seeds)


@law(
    "least excess risk against P, exponent",
    where="rate of early-stopped regression",
    needs=(EXCESS,),
    expected=Bound(-0.4, "below"),
    lacks=f"{LACKS}, of two P",
    across=KINDS,
    **SAYS,
)
def least(table: pd.DataFrame) -> Estimate | None:
    """Below −0.4; an independent calculation has −0.61 ± 0.08 (P = 50 … 800)."""
    return against_patterns(of_splits(table), "least")


@law(
    "excess risk at the end against P, exponent",
    where="noise that is fit",
    needs=(EXCESS,),
    expected=END,
    lacks=f"{LACKS}, of two P",
    across=KINDS,
    **SAYS,
)
def fitted(table: pd.DataFrame) -> Estimate | None:
    """0: more patterns do not help who fits their noise."""
    return against_patterns(of_splits(table), "end")


@law(
    "excess risk where the loss on noisy held-out patterns is least, over the least",
    where="stopping rule",
    needs=(EXCESS, HELD_OUT),
    expected=Bound(1.1, "below"),
    lacks=f"{LACKS}, with dataset.n_valid",
    across=KINDS,
    **SAYS,
)
def held_out(table: pd.DataFrame) -> Estimate | None:
    """Below 1.1: a set that is as noisy as what is learnt from knows when to stop."""
    return _mean(of_splits(table).groupby("split")["stopped"].mean().dropna())


@law(
    "least excess risk of the widest lazy networks, over that of the kernel of infinite width",
    where="gradient descent as kernel regression",
    needs=(EXCESS, DEVIATION),
    expected=Expected(1, 0.1, "finite h"),
    lacks="lazy runs on dataset=score with observe/also=[limit]",
    across=KINDS,
    **SAYS,
)
def beside_the_kernel(table: pd.DataFrame) -> Estimate | None:
    """1: lazy networks follow the kernel's curve, at its least by up to a tenth at h = 256."""
    runs = of_score(table)
    runs = runs[runs[DEVIATION].notna()] if DEVIATION in runs else runs.iloc[:0]
    runs = runs[runs[H] == runs[H].max()]
    ratios = [part["least"].mean() / best for _, part in runs.groupby("split") if (best := _of_kernel(part))]
    return _mean(pd.Series(ratios, dtype=float))


@law(
    "kernel on noisy patterns against its limit, in h",
    where="gradient descent as kernel regression",
    needs=(DEVIATION, EXCESS),
    expected=AT_START,
    lacks="two widths on dataset=score with observe/also=[limit]",
    across=KINDS,
    **SAYS,
)
def deviation(table: pd.DataFrame) -> Estimate | None:
    """−½ at t = 0, of the networks whose curves are the kernel's."""
    return start_slope(of_score(table), DEVIATION)


def of_score(table: pd.DataFrame) -> pd.DataFrame:
    """Lazy runs on dataset=score, with ``split`` and of their curves ``least``, ``end`` and ``stopped``.

    ``stopped`` is the excess where the held-out loss is least, over the least; NaN without held-out patterns.
    """
    kinds = [run.config.get("dataset", {}).get("kind") for run in table["run"]]
    runs = table[(pd.Series(kinds, table.index, dtype=object) == "score") & (table[X] >= LAZY)]
    curves = [run.history for run in runs["run"]]
    excess = [curve[EXCESS] for curve in curves]
    stops = [one[np.nanargmin(c[HELD_OUT])] if HELD_OUT in c else np.nan for one, c in zip(excess, curves, strict=True)]
    lows = np.array([np.nanmin(one) for one in excess], dtype=float)
    return runs.assign(
        split=[run.config["dataset"].get("seed", 0) for run in runs["run"]],
        least=lows,
        end=np.array([one[-1] for one in excess], dtype=float),
        stopped=np.array(stops, dtype=float) / lows,
        t_last=np.array([curve["t"][-1] for curve in curves], dtype=float),
    )


def of_splits(table: pd.DataFrame) -> pd.DataFrame:
    """Means over networks for each P and split, of runs that have come to fit the noise."""
    runs = of_score(table)
    runs = runs[runs["t_last"] >= FITTED]
    return runs.groupby(["P", "split"])[["least", "end", "stopped"]].mean().reset_index()


def against_patterns(runs: pd.DataFrame, column: str) -> Estimate | None:
    """Exponent of P, its error over splits: the mean of each split's slope; None of one P or one split."""
    logs = runs.assign(y=np.log(runs[column]), u=np.log(runs["P"]))
    slopes = [np.polyfit(part["u"], part["y"], 1)[0] for _, part in logs.groupby("split") if part["P"].nunique() > 1]
    return _mean(pd.Series(slopes, dtype=float))


def _mean(values: pd.Series) -> Estimate | None:
    each = values.to_numpy(dtype=float)
    return average(each) if len(each) > 1 else None


def _of_kernel(runs: pd.DataFrame) -> float | None:
    """Least excess of the infinitely wide network at the times of the first of some runs of one split."""
    run = runs["run"].iloc[0]
    if not isinstance(run, Run):
        return None
    try:
        kernels, task, _ = Bench().ready(run, "infinite_ntk")
    except FeatureLazyError:
        return None
    clean = run.outputs["y_test"]
    predicted = mse_prediction(kernels.train, kernels.test_train, kernels.flat(task.targets), run.history["t"][1:])[1]
    return float(np.square(predicted.numpy() - clean).mean(1).min())


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Excess over time at each P, and that of the held-out loss's choice, for the atlas."""
    runs = of_score(table)
    runs = runs[runs["t_last"] >= FITTED]
    for index, (patterns, part) in enumerate(runs.groupby("P")):
        curves = [run.history for run in part["run"]]
        length = min(len(curve["t"]) for curve in curves)
        mean = np.exp(np.mean([np.log(curve[EXCESS][1:length]) for curve in curves], axis=0))
        axes.plot(curves[0]["t"][1:length], mean, label=f"P = {patterns:g}", **{**look(index), "marker": ""})
    axes.set(xscale="log", yscale="log", xlabel="training time t", ylabel="excess risk, mean of (F − f*)²")
    axes.legend()
