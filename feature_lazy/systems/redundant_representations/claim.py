"""What a few units of the last hidden layer say of all, with and without weight decay, and in the lazy regime."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.figures.axes import tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO
from feature_lazy.systems.redundant_representations import PAPER

FEW, SOME = 8, 32
"""Units of the chunks that are compared."""
SAID, ERROR, LAYER = f"last/chunk_{FEW}/r2", f"last/chunk_{SOME}/test_error", f"last/chunk_{SOME}/r2"
UNFIT = "train/error"
LAZY, FEATURE = 1e3, 30.0
"""√h·α from which on features stay, and up to which they are learnt."""
OF = {"paper": PAPER, "outcomes": ("converged", "t_end"), "across": KINDS, "quiet": True}
Which = Callable[[pd.DataFrame], pd.Series]
PAIRS = "runs without training error, with dynamics.weight_decay and without, of one width and seed"


@law(f"R² of {FEW} units, with weight decay less without", needs=(SAID, UNFIT), expected=ABOVE_ZERO, lacks=PAIRS, **OF)
def explained(table: pd.DataFrame) -> Estimate | None:
    """Above 0: an independent calculation has 0.913 and 0.852."""
    both = pairs(fit(table), decayed, plain)
    return _over_seeds(both, both[SAID] - both[f"{SAID}_other"])


@law(
    f"test error of {SOME} units, without weight decay less with",
    needs=(ERROR, UNFIT),
    expected=ABOVE_ZERO,
    lacks=PAIRS,
    **OF,
)
def classified(table: pd.DataFrame) -> Estimate | None:
    """Above 0: the same calculation has 0.443 and 0.372."""
    both = pairs(fit(table), decayed, plain)
    return _over_seeds(both, both[f"{ERROR}_other"] - both[ERROR])


@law(
    f"ln of 1 − R² of {SOME} units, lazy less learnt",
    needs=(LAYER, UNFIT),
    expected=ABOVE_ZERO,
    lacks=f"runs without training error with √hα ≥ {LAZY:g} and ≤ {FEATURE:g}, of one width and seed",
    **OF,
)
def redundant(table: pd.DataFrame) -> Estimate | None:
    """Above 0: units that learn say more of each other than random ones. This project's, and no claim of the paper."""
    both = pairs(fit(table), lambda rows: rows["sqrt_h_alpha"] >= LAZY, plain)
    return _over_seeds(both, np.log((1 - both[LAYER]) / (1 - both[f"{LAYER}_other"])))


def fit(table: pd.DataFrame) -> pd.DataFrame:
    """The runs without training error, with ``decay``."""
    decay = [run.config.get("dynamics", {}).get("weight_decay", 0.0) for run in table["run"]]
    return table.assign(decay=decay)[table[UNFIT] <= 0]


def decayed(rows: pd.DataFrame) -> pd.Series:
    """Which runs learn features, with weight decay."""
    return (rows["decay"] > 0) & (rows["sqrt_h_alpha"] <= FEATURE)


def plain(rows: pd.DataFrame) -> pd.Series:
    """Which runs learn features, without."""
    return (rows["decay"] == 0) & (rows["sqrt_h_alpha"] <= FEATURE)


def pairs(rows: pd.DataFrame, one: Which, other: Which) -> pd.DataFrame:
    """Runs of two sorts side by side, of each width and seed; columns of the second with ``_other``."""
    return rows[one(rows)].merge(rows[other(rows)], on=[H, "seed"], suffixes=("", "_other"))


def _over_seeds(both: pd.DataFrame, values: pd.Series) -> Estimate | None:
    """Mean of each seed's mean, over seeds; None where there is none."""
    each = values.groupby(both["seed"]).mean().dropna().to_numpy(float)
    return average(each) if len(each) else None


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Test error of chunks against their size, for the atlas."""
    rows = fit(table)
    sorts = {
        "weight decay": decayed(rows),
        "no weight decay": plain(rows),
        "lazy": rows["sqrt_h_alpha"] >= LAZY,
    }
    sizes = sorted(int(name.split("_")[1].split("/")[0]) for name in table if name.endswith("/test_error"))
    for index, (label, which) in enumerate(sorts.items()):
        values = rows[which][[f"last/chunk_{w}/test_error" for w in sizes]]
        axes.errorbar(sizes, values.mean(), values.sem().fillna(0), capsize=2, label=label, **look(index))
    axes.set(xscale="log", xlabel="units of the last hidden layer", ylabel="test error of these units alone")
    axes.legend()
    tidy(axes.xaxis)
