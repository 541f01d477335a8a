"""Panels that several figures of the article have: errors and variances against √h·α, α and h."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from feature_lazy.study.figures.axes import PERCENT
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import SQRT_H_ALPHA, look
from feature_lazy.study.table import H, X, ensemble, over_seeds

ERROR, VARIANCE = "test/error", r"$h\,\mathrm{Var}\,F$"
DASHED = {"ls": "--", "mfc": "white", "lw": 0.8}
Groups = Mapping[str, pd.DataFrame]


def by(table: pd.DataFrame, column: str, text: Callable[[object], str], values: Sequence | None = None) -> Groups:
    """Runs by the values of a column, each with its name in the legend."""
    present = sorted(table[column].unique()) if values is None else [v for v in values if (table[column] == v).any()]
    return {text(value): table[table[column] == value] for value in present}


def by_width(table: pd.DataFrame) -> Groups:
    """Runs by h."""
    return by(table, H, lambda h: f"h = {h}")


def power(value: float) -> str:
    """A number as 10^k where it is one."""
    exponent = np.log10(value)
    if abs(exponent - round(exponent)) < 1e-9 and abs(exponent) > 1.5:
        return f"$10^{{{round(exponent)}}}$"
    return f"{value:g}"


def by_x(table: pd.DataFrame) -> Groups:
    """Runs by √h·α."""
    return by(table, X, lambda x: f"{SQRT_H_ALPHA} = {power(float(x))}")


def observable(sheet: Sheet, panel: str, groups: Groups, column: str, *, alpha: bool = False) -> None:
    """Mean of a column over seeds, with its standard error, for each group, against √h·α or α."""
    for index, (name, table) in enumerate(groups.items()):
        means = over_seeds(table, column)
        x = means[ALPHA if alpha else X]
        sheet.line(panel, name, x, means["mean"], _errors(means), style=index)
    _one_seed(sheet, panel, groups)
    sheet.decorate(panel, r"$\alpha$" if alpha else SQRT_H_ALPHA, "")


def errors(sheet: Sheet, panel: str, groups: Groups, *, axis: str = X, ensembles: bool = True) -> None:
    """Test error of one network, solid, and of the mean of an ensemble, dashed, against √h·α, α or h."""
    many = False
    for index, (name, table) in enumerate(groups.items()):
        means = over_seeds(table, ERROR)
        sheet.line(panel, name, means[axis], means["mean"], _errors(means), style=index)
        if ensembles and len(statistics := ensemble(table)):
            many = True
            x = statistics[axis]
            sheet.line(
                panel, f"{name}, ensemble", x, statistics["error"], style={**look(index), **DASHED}, legend=False
            )
    if many:
        sheet.axes[panel].plot([], [], "k--", lw=0.8, label="mean of the ensemble")
    _one_seed(sheet, panel, groups, "no error bars" + (" and no ensemble" if ensembles else ""))
    sheet.decorate(panel, AXIS[axis], "test error", "log-linear")
    sheet.axes[panel].margins(y=0.15)  # room for the legend
    sheet.axes[panel].yaxis.set_major_formatter(PERCENT)


ALPHA = "alpha"
AXIS = {X: SQRT_H_ALPHA, ALPHA: r"$\alpha$", H: "$h$"}


def rescaled_errors(sheet: Sheet, panel: str, table: pd.DataFrame) -> None:
    """Test error rescaled to [0, 1] for each h, over √h·α > 0.1 (Fig. 3d).

    What a seed adds at every √h·α alike shifts the curve, which rescaling takes off: error bars are those of the rest.
    """
    for index, (h, group) in enumerate(table[table[X] > 0.1].groupby(H)):
        means = over_seeds(group, ERROR)
        low, high = means["mean"].min(), means["mean"].max()
        if high > low:
            own = group[ERROR] - group.groupby("seed")[ERROR].transform("mean")
            bars = _errors(over_seeds(group.assign(rest=own), "rest")) / (high - low)
            sheet.line(panel, f"h = {h}", means[X], (means["mean"] - low) / (high - low), bars, style=index)
    if not (table[X] > 0.1).any():
        sheet.missing(panel, "No run has √hα > 0.1.")
    sheet.decorate(panel, SQRT_H_ALPHA, "rescaled test error", "log-linear")


def variances(
    sheet: Sheet,
    panel: str,
    groups: Groups,
    *,
    axis: str = X,
    factor: Callable[[pd.DataFrame], pd.Series] | None = None,
) -> None:
    """Variance of F over initialisations (eq. 16), times h if no other factor is given, with jackknife errors."""
    factor = factor or (lambda table: table[H])
    for index, (name, table) in enumerate(groups.items()):
        if len(statistics := with_errors(table)):
            scale = factor(statistics.assign(P=table["P"].iloc[0]))
            x, bars = statistics[axis], scale * statistics["variance_error"]
            sheet.line(panel, name, x, scale * statistics["variance"], bars, style=index)
    if groups and not any(table.groupby([H, X])["seed"].nunique().gt(1).any() for table in groups.values()):
        sheet.missing(panel, "A variance needs at least two seeds.")
    sheet.decorate(panel, AXIS[axis], VARIANCE)


def with_errors(table: pd.DataFrame) -> pd.DataFrame:
    """``sweep.ensemble`` with ``variance_error``, from leaving out one seed at a time (Efron and Stein, 1981)."""
    statistics = ensemble(table)
    if not len(statistics):
        return statistics
    keys, n = [H, X], table["seed"].nunique()
    without = [ensemble(table[table["seed"] != seed]) for seed in table["seed"].unique()] if n > 2 else []
    parts = [part.set_index(keys)["variance"] for part in without if len(part)]
    if not parts:
        return statistics.assign(variance_error=np.nan)
    spread = pd.concat(parts, axis=1).var(axis=1, ddof=0) * (n - 1)
    return statistics.assign(
        variance_error=np.sqrt(spread).reindex(pd.MultiIndex.from_frame(statistics[keys])).to_numpy()
    )


def _errors(means: pd.DataFrame) -> np.ndarray:
    """Standard errors; NaN where there is one seed."""
    return means["sem"].where(means["n"] > 1).to_numpy()


def _one_seed(sheet: Sheet, panel: str, groups: Groups, what: str = "no error bars") -> None:
    if groups and max(table["seed"].nunique() for table in groups.values()) == 1:
        sheet.missing(panel, f"One seed: {what}.")
