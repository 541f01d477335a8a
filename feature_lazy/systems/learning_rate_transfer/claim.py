"""How sharpness rises during training at different widths, and which learning rate is best for each."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean, width_slope
from feature_lazy.study.figures.axes import tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H, X, along
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.learning_rate_transfer import PAPER

SHARPNESS, LOSS = "hessian/eigenvalue_1", "train/loss"
ALL = (0.0, np.inf)
MEAN_FIELD, NTK = "mean_field", "ntk"
SAME = Expected(0, 0.1, "finite h")
"""Super consistency. An independent calculation (digits, L = 2, ReLU, P = 200, 300 full batches) has sharpenings of
3.2, 3.5 and 3.4 at h = 64, 128 and 256, an exponent of 0.03, and ends at the same sharpness up to 5 %."""
NONE = Expected(0, 0.05, "finite h")
"""λ₁(G) = λ₁(Θ)/P, and Θ rests at large h. The same calculation has factors of 0.996, 0.998 and 0.978."""
TWICE = Bound(2)
"""The same calculation has 3.2 … 3.5 over 0.98 … 1.0."""


@law(
    "sharpening against h, mean field",
    paper=PAPER,
    where="Fig. 1, super consistency",
    needs=(SHARPNESS,),
    expected=SAME,
    lacks="parametrisation=mean_field at two widths",
    outcomes=("converged", "t_end"),
    across=KINDS,
    quiet=True,
)
def sharpening_against_width(table: pd.DataFrame) -> Estimate | None:
    """0: λ₁(H) at the end over that at the start."""
    return width_slope(slowest(table, MEAN_FIELD), "sharpening", ALL, fixed="alpha")


@law(
    "sharpness at the end against h, mean field",
    paper=PAPER,
    where="Fig. 1, super consistency",
    needs=(SHARPNESS,),
    expected=SAME,
    lacks="parametrisation=mean_field at two widths",
    outcomes=("converged", "t_end"),
    across=KINDS,
    quiet=True,
)
def sharpness_against_width(table: pd.DataFrame) -> Estimate | None:
    """0: λ₁(H) at the end, of weights into which learning rates are folded, so that it is in units of one."""
    return width_slope(slowest(table, MEAN_FIELD), SHARPNESS, ALL, fixed="alpha")


@law(
    "logarithm of the sharpening, NTK, widest",
    paper=PAPER,
    where="Fig. 2, sharpening dies out",
    needs=(SHARPNESS,),
    expected=NONE,
    lacks="parametrisation=ntk",
    outcomes=("converged", "t_end"),
    across=KINDS,
    quiet=True,
)
def sharpening_of_the_widest(table: pd.DataFrame) -> Estimate | None:
    """0."""
    rows = slowest(table, NTK)
    widest = rows[rows[H] == rows[H].max()]
    return mean(widest.assign(log=np.log(widest["sharpening"])), "log", ALL)


@law(
    "sharpening, mean field over NTK",
    paper=PAPER,
    where="Figs. 1 and 2",
    needs=(SHARPNESS,),
    expected=TWICE,
    lacks="parametrisation=mean_field and ntk at the same widths and seeds",
    outcomes=("converged", "t_end"),
    across=KINDS,
    quiet=True,
)
def sharpening_over_ntk(table: pd.DataFrame) -> Estimate | None:
    """Above 2, the mean over widths."""
    other = slowest(table, NTK)[[H, "seed", "sharpening"]]
    both = slowest(table, MEAN_FIELD).merge(other, on=[H, "seed"], suffixes=("", "_ntk"))
    return mean(both.assign(ratio=both["sharpening"] / both["sharpening_ntk"]), "ratio", ALL)


@law(
    "best learning rate against h, mean field",
    paper=PAPER,
    where="Fig. 1, transfer",
    needs=(SHARPNESS, LOSS),
    expected=SAME,
    lacks="parametrisation=mean_field at two widths and three learning rates",
    outcomes=(),
    across=KINDS,
    quiet=True,
)
def best_rate_against_width(table: pd.DataFrame) -> Estimate | None:
    """0: the rate with the smallest training loss after the same number of updates, or where all patterns are fit.

    Nothing is said of NTK scaling, whose best rate is 2/λ₁ of a kernel that rests: at these widths it stays as well.
    """
    return width_slope(best_rates(table, MEAN_FIELD), "best", ALL, fixed="alpha")


def with_rates(table: pd.DataFrame) -> pd.DataFrame:
    """The table with ``lr``, the learning rate of each run."""
    return table.assign(lr=[run.config.get("dynamics", {}).get("lr", np.nan) for run in table["run"]])


def slowest(table: pd.DataFrame, parametrisation: str) -> pd.DataFrame:
    """The runs of a parametrisation at the smallest learning rate, with ``sharpening``: λ₁(H) over that at t = 0."""
    table = with_rates(table)
    rows = table[(table["parametrisation"] == parametrisation) & (table["lr"] == table["lr"].min())]
    return rows.assign(sharpening=along(rows, SHARPNESS, lambda curve: curve[-1] / curve[0]))


def best_rates(table: pd.DataFrame, parametrisation: str) -> pd.DataFrame:
    """A row for each width and seed with ``best``, the learning rate at which the training loss ends lowest."""
    rows = with_rates(table)
    groups = rows[rows["parametrisation"] == parametrisation].groupby([H, X, "alpha", "seed"])
    found = [dict(zip([H, X, "alpha", "seed"], place, strict=True)) | {"best": _best(part)} for place, part in groups]
    return pd.DataFrame(found, columns=[H, X, "alpha", "seed", "best"])


def _best(part: pd.DataFrame) -> float:
    """Where a parabola through the logarithms around the smallest loss has its minimum; NaN below three rates.

    A rate that diverged has none, so that the best one beside it is taken as it is.
    """
    part = part.sort_values("lr")
    rates, losses = np.log(part["lr"].to_numpy(float)), np.log(part[LOSS].to_numpy(float))
    if len(part) < 3 or not np.isfinite(losses).any():
        return np.nan
    i = int(np.nanargmin(losses))
    around = slice(i - 1, i + 2)
    if i in (0, len(part) - 1) or not np.isfinite(losses[around]).all():
        return float(np.exp(rates[i]))
    a, b, _ = np.polyfit(rates[around] - rates[i], losses[around], 2)
    return float(np.exp(rates[i] - b / (2 * a)))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Sharpening against h in both parametrisations, for the atlas."""
    for index, (name, rows) in enumerate(_drawn(table)):
        values = rows.groupby(H)["sharpening"]
        axes.errorbar(values.mean().index, values.mean(), values.sem().fillna(0), capsize=2, label=name, **look(index))
    axes.axhline(1, color="k", ls="--", lw=1)
    axes.set(xscale="log", xlabel="width h", ylabel="λ₁(H) at the end over that at the start")
    axes.set_ylim(bottom=0)
    axes.legend()
    tidy(axes.xaxis)


def _drawn(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for name in (MEAN_FIELD, NTK):
        yield name, slowest(table, name)
