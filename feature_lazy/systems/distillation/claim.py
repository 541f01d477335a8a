"""Students of a stored teacher: how their weight change grows with the patterns, and what errors they take over."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.axes import tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, Joined, law
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.distillation import PAPER

CHANGE, ERROR = "weights/change", "test/error"
ROUNDING = 1e-10
LEAST = 3
"""Numbers of patterns from which on an exponent is judged."""
GAIN = Bound(0.08)
"""An independent calculation with the kernel of infinite width has I = 0.51 of labels ±1, and of soft ones 0.49, 0.47
and 0.33 at ρ = 0.1, 0.5 and 0.9 (digits, T = 2, a teacher of 320 patterns at t = 30, 20 … 320 patterns of a student);
one on other data has 0.54 and 0.50, 0.46, 0.42: 0.08 between the first and the last at least."""
RIGHT = Expected(0, 0, "a wrong teacher's q > 0")
"""At z = 0 the pull of teacher and truth is (1−ρ) − ρ/2T − (1−ρ)/2 + ρq/T > 0 for all q ≥ 0 where ρ < T/(1+T)."""
SAME = Expected(0, 0.05, "patterns are fit to a hundredth")
SAYS = {"paper": PAPER, "across": KINDS, "outcomes": ("converged", "t_end"), "quiet": True}
SWEEP = f"students of {LEAST} numbers of patterns at one width and α, with labels.soft"


@law(
    "data inefficiency of labels ±1 less that of the softest",
    where="data inefficiency, I = d ln ‖Δw‖/d ln P",
    needs=(CHANGE,),
    expected=GAIN,
    lacks=f"{SWEEP} and runs on the truth",
    **SAYS,
)
def softness(table: pd.DataFrame) -> Estimate | None:
    """Above 0.08: of the largest ρ below 1."""
    lines = students(table)
    soft = [rho for rho in lines if 0 < rho < 1]
    return _difference(lines[0.0], lines[max(soft)]) if soft and 0.0 in lines else None


@law(
    "data inefficiency of the hardest soft labels less that of the softest",
    where="data inefficiency",
    needs=(CHANGE,),
    expected=ABOVE_ZERO,
    lacks=f"{SWEEP} of two values",
    **SAYS,
)
def monotone(table: pd.DataFrame) -> Estimate | None:
    """Above 0: I falls with ρ."""
    lines = students(table)
    soft = [rho for rho in lines if 0 < rho < 1]
    return _difference(lines[min(soft)], lines[max(soft)]) if len(soft) > 1 else None


@law(
    "students of loss=distillation and of loss=mse on effective logits, rms of what they differ by over F",
    where="effective logit",
    needs=(CHANGE,),
    expected=SAME,
    lacks="students of both losses at one α",
    across=Joined("loss", "distillation", "mse"),
    paper=PAPER,
    outcomes=("converged",),
    quiet=True,
)
def same_end(pairs: pd.DataFrame) -> Estimate | None:
    """0 on the test set: a lazy student ends where every pattern has its effective logit, whatever pulls it there."""
    gaps = [
        np.linalg.norm(one.outputs["F_test"] - other.outputs["F_test"]) / np.linalg.norm(other.outputs["F_test"])
        for one, other in zip(pairs["run"], pairs["run_other"], strict=True)
    ]
    return average(np.array(gaps))


@law(
    "effective logits of a wrong sign under a teacher that is wrong, ρ < T/(1+T)",
    where="imperfect teacher",
    needs=(ERROR,),
    expected=RIGHT,
    lacks="students with labels.corrupt, and runs on the truth of the same patterns",
    **SAYS,
)
def corrected(table: pd.DataFrame) -> Estimate | None:
    """0, whatever the teacher says; no seed plays a part in it, and its error is that of rounding."""
    wrong = [_wrong(run, table) for run in _runs(table) if _soft(run)[1] and _soft(run)[0] < _limit(run)]
    known = [one for one in wrong if one is not None]
    return Estimate(float(max(known)), ROUNDING, max(len(known), 2)) if known else None


@law(
    "test error of a student of the wrong teacher alone less that with truth mixed in",
    where="imperfect teacher",
    needs=(ERROR,),
    expected=ABOVE_ZERO,
    lacks="students with labels.corrupt, some with labels.soft=1 and some with less than T/(1+T)",
    **SAYS,
)
def imperfect(table: pd.DataFrame) -> Estimate | None:
    """Above 0, pattern for pattern with the same seeds."""
    runs = [run for run in _runs(table) if _soft(run)[1]]
    alone = {run.columns["seed"]: run.summary[ERROR] for run in runs if _soft(run)[0] == 1}
    mixed = {run.columns["seed"]: run.summary[ERROR] for run in runs if _soft(run)[0] < _limit(run)}
    seeds = sorted({*alone} & {*mixed})
    return average(np.array([alone[seed] - mixed[seed] for seed in seeds])) if seeds else None


def students(table: pd.DataFrame) -> dict[float, np.ndarray]:
    """I of each seed, by ρ: 0 where labels are ±1; of teachers that are right, where there are several P."""
    found: dict[tuple[float, str], dict[int, dict[int, float]]] = {}
    for run in _runs(table):
        rho, corrupt = _soft(run)
        if not corrupt:
            kind = rho, run.columns["loss"]
            found.setdefault(kind, {}).setdefault(run.columns["seed"], {})[run.columns["P"]] = moved(run)
    return {
        rho: np.array([_slope(points) for _, points in sorted(seeds.items())])
        for (rho, _), seeds in found.items()
        if all(len(points) >= LEAST for points in seeds.values())
    }


def moved(run: Run) -> float:
    """‖Δw‖."""
    return float(run.summary[CHANGE] * run.history["weights/norm"][0])


def _slope(points: dict[int, float]) -> float:
    return float(np.polyfit(np.log([*points]), np.log([*points.values()]), 1)[0])


def _difference(one: np.ndarray, other: np.ndarray) -> Estimate | None:
    """Mean over seeds of one less the other."""
    return average(one - other) if len(one) == len(other) else None


def _runs(table: pd.DataFrame) -> list[Run]:
    """Students, and runs on the truth, of one width and α; none where there are several."""
    runs = [run for run in table.get("run", ()) if isinstance(run, Run)]
    if not any(run.config.get("labels", {}).get("kind") == "distilled" for run in runs):
        return []
    return runs if table["h"].nunique() == table["alpha"].nunique() == 1 else []


def _soft(run: Run) -> tuple[float, float]:
    """ρ, and the fraction of patterns on which the teacher is wrong; 0 and 0 of labels ±1."""
    labels = run.config["labels"]
    return float(labels.get("soft", 0.0)), float(labels.get("corrupt", 0.0))


def _limit(run: Run) -> float:
    """T/(1 + T)."""
    t = float(run.config["labels"]["temperature"])
    return t / (1 + t)


def _wrong(run: Run, table: pd.DataFrame) -> float | None:
    """Fraction of effective logits whose sign is not the truth's; None without runs on the truth of these patterns."""
    pulled = run.outputs["y_train"]
    for other in _runs(table):
        truth = other.outputs["y_train"]
        if _soft(other)[0] == 0 and len(truth) == len(pulled):
            return float((pulled * truth <= 0).mean())
    return None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Weight change against the number of patterns, for the atlas."""
    rows = [
        (_soft(run)[0], run.columns["P"], moved(run))
        for run in _runs(table)
        if not _soft(run)[1] and run.columns["loss"] != "distillation"
    ]
    frame = pd.DataFrame(rows, columns=["rho", "P", "change"])
    for index, (rho, part) in enumerate(frame.groupby("rho")):
        line = part.groupby("P")["change"].agg(["mean", "sem"])
        label = f"ρ = {rho:g}" if rho else "labels ±1"
        axes.errorbar(
            line.index,
            line["mean"] / line["mean"].iloc[0],
            line["sem"].fillna(0) / line["mean"].iloc[0],
            capsize=2,
            label=label,
            **look(index),
        )
    axes.set(xscale="log", yscale="log", xlabel="training patterns P", ylabel="‖Δw‖ over that of the fewest")
    axes.legend()
    tidy(axes.xaxis)
    tidy(axes.yaxis)
