"""Whether the metric of inputs turns to what the target depends on: where features are learnt, and in lazy training."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.settings.scales import CROSSOVER
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean
from feature_lazy.study.figures.axes import tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import law
from feature_lazy.study.table import X
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.radial_basis import PAPER

ALIGNMENT, IMPORTANCE = "active/alignment", "active/importance_0"
FEATURE, LAZY = (0.0, CROSSOVER), (10 * CROSSOVER, np.inf)
"""Ranges of √h·α: features are learnt below the crossover, and training is lazy a decade above it."""
ALIGNED, IMPORTANT = Bound(0.98), Bound(0.85)
"""An independent calculation has 0.995 ± 0.001 and, of the two inputs of its target, 0.884 ± 0.017."""
ISOTROPIC = Expected(0, 0.05, "isotropic")
"""As at the start; an independent calculation has 0.252 ± 0.011 where two of eight inputs are 0.25."""
ENDED = ("converged", "stationary", "t_end")
SAYS = {"paper": PAPER, "needs": (ALIGNMENT, IMPORTANCE), "outcomes": ENDED, "quiet": True}
LACKS = "runs with √h·α {}, on data that depend on their first input alone, such as dataset=stripe"


@law(
    "active subspace along the target's, feature regime",
    where="active subspace",
    expected=ALIGNED,
    lacks=LACKS.format(f"below {CROSSOVER:g}"),
    **SAYS,
)
def alignment(table: pd.DataFrame) -> Estimate | None:
    """Cosine above 0.98."""
    return mean(table, ALIGNMENT, FEATURE)


@law(
    "importance of the input that matters, feature regime",
    where="feature importance",
    expected=IMPORTANT,
    lacks=LACKS.format(f"below {CROSSOVER:g}"),
    **SAYS,
)
def importance(table: pd.DataFrame) -> Estimate | None:
    """Above 0.85 of 1."""
    return mean(table, IMPORTANCE, FEATURE)


@law(
    "importance of the input that matters less 1/d, lazy regime",
    where="feature importance",
    expected=ISOTROPIC,
    lacks=LACKS.format(f"above {10 * CROSSOVER:g}") + ", with the importance of all inputs",
    **SAYS,
)
def isotropic(table: pd.DataFrame) -> Estimate | None:
    """0: a lazy network knows every input alike."""
    shares = table.filter(regex=r"^active/importance_\d+$").dropna(axis=1, how="all")
    if shares.empty or not np.allclose(shares.sum(axis=1, min_count=1).dropna(), 1):
        return None  # not all inputs are recorded, so that there is no 1/d to go by
    return mean(table.assign(excess=table[IMPORTANCE] - 1 / shares.shape[1]), "excess", LAZY)


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Alignment and importance against √h·α, for the atlas."""
    for index, (column, label) in enumerate(((ALIGNMENT, "cosine"), (IMPORTANCE, "importance"))):
        lines = table.groupby(X)[column].agg(["mean", "sem"])
        axes.errorbar(lines.index, lines["mean"], lines["sem"].fillna(0), capsize=2, label=label, **look(index))
    axes.set(xscale="log", xlabel="√h·α", ylabel="metric along the target")
    axes.legend()
    tidy(axes.xaxis)
