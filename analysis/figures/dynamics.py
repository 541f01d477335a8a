"""Figs. 5 and 9 to 12: how kernel, weights, outputs and preactivations change, and when."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D

from analysis.figures.panels import H, X, by, by_width, by_x, observable, power
from analysis.figures.performance import against_alpha, begin, kind
from analysis.figures.source import Source, flows
from feature_lazy.settings.scales import CROSSOVER
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import SQRT_H_ALPHA, look

CHANGE = r"$\|\Theta-\Theta_0\|\,/\,\|\Theta_0\|$"
FEATURE_END, LAZY_BEGIN = CROSSOVER / 10**1.5, CROSSOVER * 100
"""√h·α at which the guides of the regimes end and begin: 1.5 and 2 decades from the crossover."""
GRID = np.logspace(-3, 1, 81)
"""t/t₁ on which curves of several seeds are averaged."""
TINY = 1e-300
"""In place of 0, which has no logarithm."""
LAZY_X, FEATURE_X = 1e3, 1e-2


def fig5(source: Source) -> Sheet:
    """Kernel change against α and √h·α; loss against t and t/t₁; half-loss time t₁/(√h·α)."""
    titles = {"a": "kernel change", "b": "kernel change", "c": "loss", "d": "loss", "e": "half-loss time"}
    sheet, table = begin("fig5", titles | {"f": "half-loss time"}, source)
    own = against_alpha(sheet, "abcdef", flows(table))
    changed = own.dropna(subset=["kernel_change"])
    if len(changed):
        for panel, alpha in (("a", True), ("b", False)):
            observable(sheet, panel, by_width(changed), "kernel_change", alpha=alpha)
            sheet.axes[panel].set_ylabel(CHANGE)
            sheet.axes[panel].axhline(1, color="grey", lw=0.8)
        slopes(sheet, "b", of_depth(own, lambda depth: -2 * depth / (depth + 1)))
    elif len(own):
        sheet.missing("ab", "No run has a kernel change: observe.kernel.probe=128 records it.")
    _losses(sheet, own)
    timed = own.dropna(subset=["t_half"]).assign(ratio=lambda t: t["t_half"] / t[X])
    for panel, alpha in (("e", True), ("f", False)):
        observable(sheet, panel, by_width(timed), "ratio", alpha=alpha)
        sheet.axes[panel].set_ylabel(r"$t_1\,/\,(\sqrt{h}\,\alpha)$")
    slopes(sheet, "f", None)
    return sheet


def of_depth(table: pd.DataFrame, exponent: Callable[[float], float]) -> float | None:
    """An exponent that goes with L; None of no runs, and of networks whose layers are not known."""
    known = table["L"].dropna()
    return exponent(float(known.iloc[0])) if len(known) else None


def slopes(sheet: Sheet, panel: str, feature: float | None, lazy: float | None = -1.0) -> None:
    """Guides of the exponents of both regimes beside what a panel shows, where it reaches into them."""
    rows = sheet.data()
    rows = rows[(rows["panel"] == panel) & (rows["y"] > 0)]
    left, right = rows[rows["x"] <= FEATURE_END], rows[rows["x"] >= LAZY_BEGIN]
    for part, exponent in ((left, feature), (right, lazy)):
        if exponent is not None and part["x"].nunique() > 1:
            ends = part["x"].min(), part["x"].max()
            y = 2 * part.loc[part["x"] == ends[0], "y"].max()
            sheet.guide(panel, ends, y, exponent, f"{exponent:.3g}".replace("-", "−"))


def _losses(sheet: Sheet, table: pd.DataFrame) -> None:
    """Training loss against t and t/t₁ at the largest width and the first seed, coloured by √h·α."""
    rows = table[(table[H] == table[H].max()) & (table["seed"] == table["seed"].min())].dropna(subset=["t_half"])
    if not len(rows):
        return
    scale, colours = LogNorm(rows[X].min(), max(rows[X].max(), 10 * rows[X].min())), plt.get_cmap("cividis")
    for number, (_, row) in enumerate(rows.iterrows()):
        history = row["run"].history
        after = history["t"] > 0
        t, loss = history["t"][after], history["train/loss"][after]
        style = {"color": colours(scale(row[X])), "ls": ("-", "--", "-.", ":")[number % 4], "lw": 0.9}
        for panel, unit in (("c", 1.0), ("d", row["t_half"])):
            sheet.line(panel, f"{SQRT_H_ALPHA} = {row[X]:g}", t / unit, loss, style=style, legend=False)
    for panel, label in (("c", "$t$"), ("d", "$t/t_1$")):
        sheet.decorate(panel, label, r"$\alpha^2\mathcal{L}$", "log-linear", ylim=(0, None))
        sheet.axes[panel].set_title(f"({panel}) loss, h = {rows[H].iloc[0]}")
    both = [sheet.axes["c"], sheet.axes["d"]]
    sheet.figure.colorbar(ScalarMappable(scale, colours), ax=both, label=SQRT_H_ALPHA, pad=0.01, aspect=25)


def fig9(source: Source) -> Sheet:
    """Weight change √h‖w − w₀‖/‖w₀‖ against α and √h·α: slopes −1/(L + 1) by the heuristic, and −1."""
    sheet, table = begin("fig9", {"a": "against α", "b": "against √hα"}, source)
    own = against_alpha(sheet, "ab", flows(table))
    scaled = own.assign(scaled=np.sqrt(own[H]) * own["weights/change"])
    for panel, alpha in (("a", True), ("b", False)):
        observable(sheet, panel, by_width(scaled), "scaled", alpha=alpha)
        sheet.axes[panel].set_ylabel(r"$\sqrt{h}\,\|w-w_0\|\,/\,\|w_0\|$")
    slopes(sheet, "b", of_depth(own, lambda depth: -1 / (depth + 1)))
    return sheet


def averaged(table: pd.DataFrame, value: Callable[[pd.Series, dict[str, np.ndarray]], np.ndarray]) -> pd.DataFrame:
    """A curve over t/t₁, averaged over seeds on a common grid; between observations straight in logarithms.

    Args:
        table: runs of one h and √h·α.
        value: of a run's row and its history, (observations,).

    Returns:
        Columns ``t``, ``mean`` and ``sem``, where all seeds have been observed.
    """
    curves = []
    for _, row in table.dropna(subset=["t_half"]).iterrows():
        history = row["run"].history
        t, y = history["t"][1:] / row["t_half"], value(row, history)[1:]
        logs = np.interp(np.log(GRID), np.log(t), np.log(np.maximum(y, TINY)), left=np.nan, right=np.nan)
        curves.append(np.exp(logs))
    if not curves:
        return pd.DataFrame(columns=["t", "mean", "sem"])
    stack = np.stack(curves)
    sem = stack.std(0, ddof=1) / np.sqrt(len(stack)) if len(stack) > 1 else np.full(len(GRID), np.nan)
    return pd.DataFrame({"t": GRID, "mean": stack.mean(0), "sem": sem}).dropna(subset=["mean"])


def _curves(sheet: Sheet, panel: str, groups: dict, value: Callable, **style: object) -> None:
    for index, (name, group) in enumerate(groups.items()):
        curve = averaged(group, value)
        chosen = {**look(index), "markevery": 8, **style}
        sheet.line(panel, name, curve["t"], curve["mean"], style=chosen)
        mean, sem = curve["mean"].to_numpy(dtype=float), np.nan_to_num(curve["sem"].to_numpy(dtype=float))
        band = {"color": chosen["color"], "alpha": 0.2, "lw": 0}
        sheet.axes[panel].fill_between(curve["t"].to_numpy(dtype=float), mean - sem, mean + sem, **band)


def fig10(source: Source) -> Sheet:
    """Output against t/t₁: slope 1 at first; ‖f‖/√h and α‖f − f₀‖ at several h, in both regimes."""
    titles = {"a": "growth", "b": "size, feature regime", "c": "times √h", "d": "α‖f − f₀‖"}
    sheet, table = begin("fig10", titles, source)
    own = against_alpha(sheet, "abcd", flows(table))
    if not len(own):
        return sheet
    widths = sorted(own[H].unique())
    h = widths[len(widths) // 2]
    low = own[(own[H] == h) & (own[X] <= 10) & np.isclose(np.log10(own[X]) % 1, 0)]
    _curves(sheet, "a", by_x(low), lambda row, history: history["output/df_rms"])
    feature = own[np.isclose(own[X], FEATURE_X)]
    _curves(
        sheet, "b", by_width(feature), lambda row, run: run["output/f_rms"] / run["output/f_rms"][0] / row[H] ** 0.5
    )
    lazy = own[own[X] >= LAZY_X]
    lazy = lazy[lazy[X] == lazy[X].min()] if not np.isclose(lazy[X], 1e5).any() else lazy[np.isclose(lazy[X], 1e5)]
    for panel, exponent in (("c", 0.5), ("d", 0.0)):
        for part, style in ((feature, {"ls": "-"}), (lazy, {"ls": "--", "mfc": "white"})):
            groups = {f"{name}, {SQRT_H_ALPHA} = {group[X].iloc[0]:g}": group for name, group in by_width(part).items()}
            _curves(
                sheet, panel, groups, lambda row, run, e=exponent: run["output/alpha_df_rms"] * row[H] ** e, **style
            )
        _two_regimes(sheet, panel, by_width(pd.concat([feature, lazy])), feature, lazy)
    for part, what in ((feature, f"√hα = {FEATURE_X:g}"), (lazy, f"√hα ≥ {LAZY_X:g}")):
        if not len(part):
            sheet.missing("c", f"No run has {what}.")
    labels = (r"$\|f-f_0\|$", r"$\|f\|\,/\,(\sqrt{h}\,\|f_0\|)$", r"$\sqrt{h}\,\alpha\|f-f_0\|$", r"$\alpha\|f-f_0\|$")
    for panel, label in zip("abcd", labels, strict=True):
        sheet.decorate(panel, "$t/t_1$", label, xlim=(1e-2, 10))
    sheet.axes["a"].set_title(f"(a) growth, h = {h}")
    if len(first := sheet.data().query("panel == 'a' and 0.019 < x < 0.022")):
        sheet.guide("a", (0.02, 0.2), 0.3 * first["y"].min(), 1, "1", above=False)
    return sheet


def _two_regimes(sheet: Sheet, panel: str, widths: dict, feature: pd.DataFrame, lazy: pd.DataFrame) -> None:
    """A legend that names widths by colour and regimes by dashes, in place of every pair of them."""
    handles = [Line2D([], [], label=name, **look(index)) for index, name in enumerate(widths)]
    for part, dashes in ((feature, "-"), (lazy, "--")):
        if len(part):
            label = f"{SQRT_H_ALPHA} = {power(float(part[X].iloc[0]))}"
            handles.append(Line2D([], [], color="black", ls=dashes, label=label))
    sheet.axes[panel].legend(handles=handles, loc="lower right")


def fig11(source: Source) -> Sheet:
    """Speed ‖ż‖ of the preactivations of every hidden layer at t = 0, times α, against h: slope −1/2."""
    sheet, table = begin("fig11", {"a": "preactivations at t = 0"}, source, columns=1, height=3.0)
    own = kind(sheet, "a", flows(table))
    for index in range(int(own["L"].iloc[0]) if len(own) and pd.notna(own["L"].iloc[0]) else 0):
        column = f"preactivations/W{index}/speed"
        if column not in own:
            continue
        speed = (own[column] * own[X] / np.sqrt(own[H])).groupby(own[H]).agg(["mean", "sem"])
        sheet.line("a", rf"$\ell = {index + 1}$", speed.index, speed["mean"], speed["sem"], style=index)
    if not len(sheet.data()):
        known = own["L"].notna().any()
        sheet.missing("a", "No run knows its preactivations" + ("." if known else ": its layers are not known."))
        return sheet
    sheet.decorate("a", "$h$", r"$\alpha\,\|\dot z^\ell\|$")
    rows = sheet.data()
    ends = rows["x"].min(), rows["x"].max()
    if ends[1] > ends[0]:
        sheet.guide("a", ends, 1.7 * rows.loc[rows["x"] == ends[0], "y"].max(), -0.5, "−1/2")
    else:
        sheet.missing("a", "Needs several widths: experiment=article/fig11.")
    return sheet


def fig12(source: Source) -> Sheet:
    """Kernel change of ReLU networks: a third regime of slope −1/2 between feature and lazy training."""
    sheet, table = begin("fig12", {"a": "kernel change, ReLU"}, source, columns=1, height=3.2)
    relu = flows(table[table["activation"] == "relu"]).dropna(subset=["kernel_change"])
    if not len(relu):
        sheet.missing("a", "No run of a ReLU network has a kernel change: experiment=article/fig12.")
        return sheet
    own = kind(sheet, "a", relu)
    observable(sheet, "a", by(own, H, lambda h: f"h = {h}"), "kernel_change")
    sheet.axes["a"].set_ylabel(CHANGE)
    rows = sheet.data()
    for ends, exponent, text in (((1e-2, 1.0), -1.7, "−1.7"), ((1e2, 1e6), -0.5, "−1/2"), ((1e7, 1e10), -1.0, "−1")):
        part = rows[(rows["x"] >= ends[0] * 0.99) & (rows["x"] <= ends[1] * 1.01)]
        if part["x"].nunique() > 1:
            sheet.guide("a", (part["x"].min(), part["x"].max()), 4 * part["y"].max(), exponent, text)
    return sheet
