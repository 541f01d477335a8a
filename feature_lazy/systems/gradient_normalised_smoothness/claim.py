"""What every step under gradient-normalised smoothness keeps, and how many there are by which Hessian."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.exponents import mean
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected, Reading
from feature_lazy.systems.gradient_normalised_smoothness import PAPER
from feature_lazy.systems.gradient_normalised_smoothness.parts import FISHER, GAMMA, GGN, HESSIAN, NONE, STEP, TRIALS

LOSS = "train/loss"
SMALL = 1e-6
"""Loss up to which steps are counted."""
ALL = (0.0, np.inf)
FALLS = Bound(0, "below")
WITHIN = Bound(1 + 1e-6, "below")
"""‖(H + λ)⁻¹∇𝓛‖ ≤ ‖∇𝓛‖/λ = γ, with equality without H: but for rounding."""
TWO = Expected(2, 0.2, "γ grows")
"""Doubled as often as it is halved where γ stays; an independent calculation has 1.9 to 2.0."""
STRAIGHT = Expected(1, 0.3, "kernel moves")
"""1 of a linear rate, below ½ of 𝓛 ~ 1/k over a factor of four in k; an independent calculation of a convex
problem has 0.98."""
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end"), "quiet": True}
LACKS = "runs of dynamics=gradient_normalised, seen at every step"


@law("largest change of ln 𝓛 in a step", needs=(GAMMA, LOSS), expected=FALLS, lacks=LACKS, **SAYS)
def monotone(table: pd.DataFrame) -> Estimate | None:
    """Below 0: every accepted step lowers 𝓛."""
    rise = [np.diff(np.log(course(run)[1])).max(initial=-np.inf) for run in table["run"]]
    return mean(table.assign(rise=rise), "rise", ALL)


@law("largest ‖Δw‖/γ of a step", needs=(GAMMA, STEP), expected=WITHIN, lacks=LACKS, **SAYS)
def within(table: pd.DataFrame) -> Estimate | Iterable[Reading] | None:
    """At most 1, whatever H without negative eigenvalues."""
    part = pd.concat([of(table, curvature) for curvature in (GGN, FISHER, NONE)])
    if part.empty:
        return ()
    longest = [(run.history[STEP] / run.history[GAMMA])[1:].max(initial=0) for run in part["run"]]
    return mean(part.assign(longest=longest), "longest", ALL)


@law("trials of a step", needs=(TRIALS,), expected=TWO, lacks=LACKS, **SAYS)
def trials(table: pd.DataFrame) -> Estimate | Iterable[Reading] | None:
    """About 2, without the first step, which finds γ; less by log₂(γ_K/γ₁) over steps where γ grows, as with G or H."""
    part = pd.concat([of(table, FISHER), of(table, NONE)])
    if part.empty:
        return ()
    return mean(part.assign(trials=[run.history[TRIALS][2:].mean() for run in part["run"]]), "trials", ALL)


@law(
    f"ln steps to a loss of {SMALL:g}, Fisher over Gauss–Newton",
    needs=(GAMMA, LOSS),
    expected=ABOVE_ZERO,
    lacks=LACKS,
    across=KINDS,
    **SAYS,
)
def fisher_and_ggn(table: pd.DataFrame) -> Estimate | None:
    """Above 0."""
    return longer(table, FISHER, GGN)


@law(
    f"ln steps to a loss of {SMALL:g}, no H over Fisher",
    needs=(GAMMA, LOSS),
    expected=ABOVE_ZERO,
    lacks=LACKS,
    across=KINDS,
    **SAYS,
)
def none_and_fisher(table: pd.DataFrame) -> Estimate | None:
    """Above 0 where all patterns are fit; an independent calculation has four to eight times as many."""
    return longer(table, NONE, FISHER)


@law(
    "rate of ln 𝓛 in later steps over that in earlier ones, Fisher",
    needs=(GAMMA, LOSS),
    expected=STRAIGHT,
    lacks=f"{LACKS}, with dynamics.curvature=fisher",
    across=KINDS,
    **SAYS,
)
def straight(table: pd.DataFrame) -> Estimate | None:
    """1 of a linear rate, which the empirical Fisher matrix gives where 𝓛* = 0."""
    part = of(table, FISHER)
    return average(np.array([bend(run) for run in part["run"]])) if len(part) else None


def course(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Steps and losses of a run, (n,) each; its end is there once, if it is looked at twice."""
    known = np.isfinite(run.history[LOSS])
    t, first = np.unique(run.history["t"][known], return_index=True)
    return t, run.history[LOSS][known][first]


def of(table: pd.DataFrame, curvature: str) -> pd.DataFrame:
    """The runs with one choice of H."""
    kinds = pd.Series([run.config.get("dynamics", {}).get("curvature") for run in table["run"]], table.index)
    return table[kinds == curvature]


def steps(run: Run) -> float:
    """Steps to ``SMALL``, linear in ln 𝓛 between two; NaN of a run that has not reached it."""
    t, losses = course(run)
    return float(np.interp(-np.log(SMALL), -np.log(losses), t, right=np.nan))


def longer(table: pd.DataFrame, one: str, other: str) -> Estimate | None:
    """Mean over seeds of ln of the steps with one H over those with another."""
    found = [
        pd.Series([np.log(steps(run)) for run in part["run"]], part["seed"], dtype=float).groupby(level=0).mean()
        for part in (of(table, one), of(table, other))
    ]
    each = (found[0] - found[1]).dropna().to_numpy()
    return average(each) if len(each) else None


def bend(run: Run) -> float:
    """Slope of ln 𝓛 over the later half of the steps, over that of the earlier one, from a tenth of the first 𝓛 on."""
    t, losses = course(run)
    start = int(np.argmax(losses <= losses[0] / 10))
    t, logs = t[start:], np.log(losses[start:])
    middle = len(t) // 2
    if middle < 2:
        return float("nan")
    return float(np.polyfit(t[middle:], logs[middle:], 1)[0] / np.polyfit(t[: middle + 1], logs[: middle + 1], 1)[0])


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The loss over steps, a line for each H and seed, for the atlas."""
    for index, curvature in enumerate((GGN, HESSIAN, FISHER, NONE)):
        for count, run in enumerate(of(table, curvature)["run"]):
            axes.plot(*course(run), label=None if count else curvature, **{**look(index), "marker": ""})
    axes.set(yscale="log", xlabel="steps", ylabel="training loss")
    axes.legend()
