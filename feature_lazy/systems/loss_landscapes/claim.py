"""How far the Hessian's spectrum reaches below 0 before and after training, and on which patterns."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, Law, law
from feature_lazy.study.table import along
from feature_lazy.study.verdict import ABOVE_ZERO, Bound
from feature_lazy.systems.loss_landscapes import PAPER

ENDS, NEGATIVE = "hessian/re", "hessian/khn"
WHAT = {ENDS: "r_e", NEGATIVE: "K"}
FALLS = Bound(0.2, "below")
"""An independent calculation of 460 weights has r_e = 0.295 before and 0.0110 after training."""
EXACT = Bound(-4, "below")
"""Relative, as a logarithm. Second differences of 𝓛 over steps of 10⁻³ are good to 10⁻⁶ of it, and eigenvalues by
ARPACK to rounding."""
SPAN = 1e-3
OF = {"paper": PAPER, "outcomes": ("converged", "t_end"), "across": KINDS, "quiet": True}


@law("r_e at the end over that at the start", needs=(ENDS,), expected=FALLS, lacks="runs", **OF)
def falls(table: pd.DataFrame) -> Estimate | None:
    """Much less than 1: r_e = |λ_min/λ_max| of the Hessian on training patterns."""
    ratio = along(table, ENDS, lambda curve: curve[-1] / curve[0])
    return _over_seeds(table.assign(ratio=ratio), "ratio")


def _above(column: str, place: str) -> Law:
    """Of a criterion on other patterns over that on training patterns."""
    other = f"{column}_{place}"

    @law(
        f"ln of {WHAT[column]} on {place} patterns over that on training patterns",
        needs=(column, other),
        expected=ABOVE_ZERO,
        lacks=f"observe.also.curvature.beside=[{place}]",
        **OF,
    )
    def measure(table: pd.DataFrame) -> Estimate | None:
        """Above 0. The same calculation has r_e 0.0110, 0.0123 (test), 0.0335 (noisy); K 0.0575, 0.0791, 0.127."""
        return _over_seeds(table.assign(log=np.log(table[other] / table[column])), "log")

    return measure


ends_on_test, negative_on_test = (_above(column, "test") for column in WHAT)
ends_on_noisy, negative_on_noisy = (_above(column, "noisy") for column in WHAT)


@law(
    "log₁₀ |c/λ − 1| of the plane's curvatures c along Hessian axes",
    needs=(ENDS,),
    expected=EXACT,
    lacks="stored weights, observe.weights=ends",
    **OF,
)
def along_axes(table: pd.DataFrame) -> Estimate | None:
    """Below −4: the larger of both axes, from the weights at the end."""
    off = np.array([off_axes(run) for run in table["run"]], dtype=float)
    return _over_seeds(table.assign(off=np.log10(np.maximum(off, np.finfo(float).eps))), "off")


def off_axes(run: Run) -> float:
    """|curvature/λ − 1| on the plane of a run's Hessian axes, the larger; NaN of a run without weights."""
    from feature_lazy.measure.landscape import HESSIAN, plane
    from feature_lazy.runs.landscape import stored_curvature
    from feature_lazy.runs.series import WEIGHTS

    if WEIGHTS not in getattr(run, "kinds", ()):
        return float("nan")
    curvature, _ = stored_curvature(Path(run.path))
    found = plane(curvature, HESSIAN, SPAN, 3)
    return float((found.curvatures / found.eigenvalues - 1).abs().max())


def _over_seeds(table: pd.DataFrame, column: str) -> Estimate | None:
    """Mean of each seed's mean, over seeds; None where no run has a value."""
    values = table.groupby("seed")[column].mean().dropna().to_numpy(float)
    return average(values) if len(values) else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """K against r_e of each network, before and after training and on which patterns, for the atlas."""
    points = [("at the start", [along(table, name, lambda curve: curve[0]) for name in WHAT])]
    for place, label in (("", "trained"), ("_test", "trained, test patterns"), ("_noisy", "trained, noisy patterns")):
        points.append((label, [table[f"{name}{place}"] for name in WHAT]))
    for index, (label, (ends, negative)) in enumerate(points):
        axes.plot(ends, negative, linestyle="", label=label, **look(index))
    axes.set(xscale="log", yscale="log", xlabel="r_e = |λ_min/λ_max|", ylabel="K, negative over positive part")
    axes.legend()
