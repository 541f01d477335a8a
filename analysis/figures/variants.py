"""Figs. 7 and 13 to 16: other data, networks, losses and integrators, each against its counterpart."""

import numpy as np
import pandas as pd

from analysis.figures.panels import ALPHA, H, X, by, errors, variances
from analysis.figures.performance import begin, below, kind
from analysis.figures.source import Source, flows
from feature_lazy.study.ahead import UNFIT
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import SQRT_H_ALPHA


def fig7(source: Source) -> Sheet:
    """Which regime is ahead: 10 components of MNIST; convolutional networks; EMNIST with two losses; two depths."""
    titles = {"a": "MNIST, 10 components", "b": "CNN, Adam, hinge", "c": "EMNIST, two losses", "d": "two depths"}
    sheet, table = begin("fig7", titles, source, unfit=UNFIT)
    dense = flows(table[table["architecture"] == "fully_connected"])
    components = dense["dataset"].astype(str).str.contains(" pca")
    two_losses = (
        (dense["dataset"] != "fashion_mnist")
        & ~components
        & dense.groupby("dataset")["beta"].transform("nunique").gt(1)
    )
    rest = dense[~components & ~two_losses]
    parts = {
        "a": (dense[components], "L", lambda depth: f"L = {depth}", "fig7"),
        "b": (table[table["architecture"] == "cnn"], "dataset", str, "fig7b"),
        "c": (dense[two_losses], "beta", lambda beta: rf"$\beta = {beta:g}$", "fig7c"),
        "d": (rest, "L", lambda depth: f"L = {depth}", "fig7d"),
    }
    for panel, (part, column, text, experiment) in parts.items():
        if not len(part):
            sheet.missing(panel, f"No run: experiment=article/{experiment}.")
            continue
        own = kind(sheet, panel, part, column)
        errors(sheet, panel, by(own, column, text))
        if panel != "b":
            sheet.axes[panel].set_title(f"({panel}) {own['dataset'].iloc[0]}, h = {own[H].iloc[0]}")
    return sheet


def fig13(source: Source) -> Sheet:
    """The article's integrator at two bounds ε_∇: difference of the outputs, and gradients computed."""
    sheet, table = begin("fig13", {"a": "difference", "b": "work"}, source)
    table = kind(sheet, "a–b", table[table["eps_gradient"] > 0], "eps_gradient")
    bounds = sorted(table["eps_gradient"].unique())
    if len(bounds) < 2:
        sheet.missing("a", "Needs two bounds: experiment=article/fig13.")
    else:
        rows = [_difference(pair, bounds) for _, pair in table.groupby([H, X, "seed"])]
        means = pd.DataFrame([row for row in rows if row is not None]).groupby(X)["value"].agg(["mean", "sem"])
        sheet.line("a", "difference", means.index, means["mean"], means["sem"], legend=False)
        low, high = (f"\\epsilon_\\nabla = {power}" for power in map(_ten, (bounds[0], bounds[-1])))
        label = rf"$\|F_{{{low}}} - F_{{{high}}}\|\,/\,\|F_{{{low}}}\|$"
        sheet.decorate("a", SQRT_H_ALPHA, label)
    for index, bound in enumerate(bounds):
        means = table[table["eps_gradient"] == bound].groupby(X)["gradients"].agg(["mean", "sem"])
        name = rf"$\epsilon_\nabla = {_ten(bound)}$"
        sheet.line("b", name, means.index, means["mean"], means["sem"], style=index)
    if bounds:
        sheet.decorate("b", SQRT_H_ALPHA, "gradients to convergence")
    return sheet


def _ten(value: float) -> str:
    return f"10^{{{round(np.log10(value))}}}"


def _difference(pair: pd.DataFrame, bounds: list[float]) -> dict[str, float] | None:
    """‖F_fine − F_coarse‖/‖F_fine‖ on the test set of one seed; None if it lacks one of them."""
    outputs = {row["eps_gradient"]: row["run"].outputs["F_test"] for _, row in pair.iterrows()}
    if bounds[0] not in outputs or bounds[-1] not in outputs:
        return None
    fine, coarse = outputs[bounds[0]], outputs[bounds[-1]]
    return {X: pair[X].iloc[0], "value": float(np.linalg.norm(fine - coarse) / np.linalg.norm(fine))}


def fig14(source: Source) -> Sheet:
    """Var F/√P against h for several P, deep in the lazy regime: slope −1/2 at large P, −1 at large h."""
    sheet, table = begin("fig14", {"a": "variance against P"}, source, columns=1, height=3.0)
    own = kind(sheet, "a", flows(table), "P")
    if own["P"].nunique() < 2:
        sheet.missing("a", "Needs several P: experiment=article/fig14.")
    variances(sheet, "a", by(own, "P", lambda p: f"P = {p}"), axis=H, factor=lambda t: t["P"] ** -0.5)
    sheet.axes["a"].set_ylabel(r"$\mathrm{Var}\,F\,/\,\sqrt{P}$")
    below(sheet, "a", -1, "−1", 0.55)
    return sheet


def fig15(source: Source) -> Sheet:
    """F = α(f − f₀) against F = αf: test error and variance against α."""
    sheet, table = begin("fig15", {"a": "test error", "b": "variance"}, source)
    own = kind(sheet, "a–b", flows(table), "centred")
    if own["centred"].nunique() < 2:
        sheet.missing("a", "Only one of F = α(f − f₀) and F = αf: experiment=article/fig15.")
    groups = {
        f"h = {h}, " + (r"$F = \alpha(f - f_0)$" if centred else r"$F = \alpha f$"): group
        for (h, centred), group in own.groupby([H, "centred"])
    }
    errors(sheet, "a", groups, axis=ALPHA)
    variances(sheet, "b", groups, axis=ALPHA)
    return sheet


def fig16(source: Source) -> Sheet:
    """With and without biases: test error and variance against √h·α."""
    sheet, table = begin("fig16", {"a": "test error", "b": "variance"}, source)
    own = kind(sheet, "a–b", flows(table), "bias")
    if own["bias"].nunique() < 2:
        sheet.missing("a", "Only one of with and without biases: experiment=article/fig16.")
    groups = by(own, "bias", lambda bias: rf"bias, $b = {bias:g}$" if bias else "no bias")
    errors(sheet, "a", groups)
    variances(sheet, "b", groups)
    return sheet
