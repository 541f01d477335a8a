"""Figures of any sweep: each function takes the table of ``table.read`` and returns a matplotlib figure."""

import re
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from feature_lazy.measure.quantity import Quantity
from feature_lazy.study.crossings import crossings
from feature_lazy.study.figures.axes import guide
from feature_lazy.study.figures.saving import save_figure
from feature_lazy.study.figures.style import COLOURS, SQRT_H_ALPHA, STYLE, look
from feature_lazy.study.grid import edges
from feature_lazy.study.labels import others, quantities
from feature_lazy.study.regimes import ASSUMED
from feature_lazy.study.table import LIMIT, H, X, ensemble, over_seeds


def _against_x(axes: Axes, table: pd.DataFrame, column: str, ylabel: str) -> None:
    """A line with error bars over seeds for each width, both axes logarithmic."""
    means = over_seeds(table, column)
    for index, (h, group) in enumerate(means.groupby(H)):
        axes.errorbar(group[X], group["mean"], group["sem"], label=f"h = {h}", ms=4, capsize=2, **look(index))
    axes.set(xscale="log", yscale="log", xlabel=SQRT_H_ALPHA, ylabel=ylabel)
    axes.legend()


def phase_diagram(table: pd.DataFrame, colours: str = "RdBu_r") -> Figure:
    """Kernel change over α × h, with the measured boundary and the law α* ~ 1/√h.

    Args:
        table: runs.
        colours: a colour map; the default is white where the kernel change is 1, but for print in grey takes another.
    """
    figure, axes = plt.subplots()
    means = over_seeds(table.assign(log=np.log10(table["kernel_change"])), "log")
    heights = sorted(means[H].unique())
    limit = np.ceil(means["mean"].abs().max())
    mesh = None
    for h, bottom, top in zip(heights, *edges(np.array(heights)), strict=True):
        row = means[means[H] == h].sort_values(X)
        left, right = edges(row["alpha"].to_numpy())
        x = np.append(left, right[-1])
        mesh = axes.pcolormesh(x, [bottom, top], row["mean"].to_numpy()[None], cmap=colours, vmin=-limit, vmax=limit)
    axes.set(xscale="log", yscale="log", xlabel=r"output scale $\alpha$", ylabel="width $h$")
    axes.set_yticks(heights, [str(h) for h in heights])
    axes.minorticks_off()
    axes.grid(visible=False)
    assert mesh is not None
    label = r"$\log_{10}$ of the kernel change $\|\Theta-\Theta_0\|/\|\Theta_0\|$"
    figure.colorbar(mesh, ax=axes, label=label)
    if found := crossings(table, "kernel_change", 1.0):
        scales = (table["alpha"] / table[X]).groupby(table[H]).first()
        h = np.array(list(found), dtype=float)
        alpha = np.array([place.value * scales[width] for width, place in found.items()])
        axes.plot(alpha, h, "ko", label="kernel change = 1")
        reach = np.array([edges(np.array(heights))[0][0], edges(np.array(heights))[1][-1]])
        star = np.exp(np.log(alpha * np.sqrt(h)).mean())
        axes.plot(star / np.sqrt(reach), reach, "k-", lw=1.5, label=rf"$\alpha^* = {star:.3g}/\sqrt{{h}}$")
        axes.legend(loc="upper right", frameon=True)
    axes.set_title("feature training  ←   →  lazy training", fontsize=10)
    return figure


def kernel_change(table: pd.DataFrame) -> Figure:
    """Fig. 5a: ‖Θ − Θ₀‖/‖Θ₀‖ at the end of training against √h·α."""
    figure, axes = plt.subplots()
    _against_x(axes, table, "kernel_change", r"kernel change $\|\Theta-\Theta_0\|/\|\Theta_0\|$")
    axes.axhline(1, color="grey", lw=0.8)
    largest = over_seeds(table[table[H] == table[H].max()], "kernel_change").set_index(X)["mean"]
    if len(lazy := largest[largest.index >= ASSUMED["lazy"][0]]) > 1:
        guide(axes, (lazy.index[0], lazy.index[-1]), (lazy.index[0], 3 * lazy.iloc[0]), -1)
    depth = table["L"].iloc[0]  # missing for a network whose layers are not known
    if pd.notna(depth) and len(feature := largest[largest.index <= ASSUMED["feature"][1]]) > 1:
        start = (feature.index[0], feature.iloc[0] / 4)
        guide(axes, (feature.index[0], feature.index[-1]), start, -2 * depth / (depth + 1))
    return figure


def observable(table: pd.DataFrame, name: str, quantity: Quantity) -> Figure:
    """Any number that runs end with against √h·α, by its label and its scale."""
    figure, axes = plt.subplots()
    unit = f" ({quantity.unit})" if quantity.unit else ""
    _against_x(axes, table, name, quantity.label + unit)
    axes.set_yscale("log" if quantity.scale == "log" else "linear")
    return figure


def weight_change(table: pd.DataFrame) -> Figure:
    """Fig. 9: √h‖w − w₀‖/‖w₀‖ against √h·α."""
    figure, axes = plt.subplots()
    scaled = table.assign(scaled=np.sqrt(table[H]) * table["weights/change"])
    _against_x(axes, scaled, "scaled", r"$\sqrt{h}\,\|w-w_0\|/\|w_0\|$")
    return figure


def half_loss_time(table: pd.DataFrame) -> Figure:
    """Fig. 5b: t_½/(√h·α) against √h·α; flat in the feature regime, ~ 1/(√h·α) in the lazy one."""
    figure, axes = plt.subplots()
    _against_x(axes, table.assign(ratio=table["t_half"] / table[X]), "ratio", r"$t_{1/2}\,/\,(\sqrt{h}\,\alpha)$")
    return figure


def test_error(table: pd.DataFrame) -> Figure:
    """Figs. 3c–d, 4c–d: test error of one network, of the mean of an ensemble, and of the infinitely wide lazy one."""
    figure, axes = plt.subplots()
    _against_x(axes, table, "test/error", "test error")
    statistics = ensemble(table)
    for index, (_, group) in enumerate(statistics.groupby(H) if len(statistics) else []):
        axes.plot(group[X], group["error"], "--", ms=3, lw=1, **look(index))
    if len(statistics):
        axes.plot([], [], "k--", label=f"mean of {int(statistics['n'].max())} networks")
    if LIMIT in table and pd.notna(limit := table[LIMIT].iloc[0]):
        axes.axhline(limit, color="black", ls=":", lw=1.2, label=r"$h\to\infty$, lazy")
    axes.set(yscale="linear", ylim=(0, None))
    axes.legend()
    return figure


def variance(table: pd.DataFrame) -> Figure | None:
    """Fig. 4a–b: h·Var of the predictor over initialisations (eq. 16); flat in h where Var ~ 1/h (eq. 17)."""
    statistics = ensemble(table)
    if not len(statistics):
        return None
    figure, axes = plt.subplots()
    for index, (h, group) in enumerate(statistics.groupby(H)):
        axes.plot(group[X], h * group["variance"], label=f"h = {h}", ms=4, **look(index))
    axes.set(xscale="log", yscale="log", xlabel=SQRT_H_ALPHA, ylabel=r"$h\,\mathrm{Var}\,F$")
    axes.legend()
    return figure


def loss_curves(table: pd.DataFrame) -> Figure:
    """Fig. 5c: training loss over its initial value against t/t_½ at the largest width, one line for each √h·α."""
    figure, axes = plt.subplots()
    part = table[(table[H] == table[H].max()) & (table["seed"] == table["seed"].min())].dropna(subset=["t_half"])
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.95, len(part)))
    for colour, (_, row) in zip(colours, part.iterrows(), strict=True):
        history = row["run"].history
        axes.plot(history["t"] / row["t_half"], history["train/loss"], color=colour, label=f"{row[X]:g}", lw=1.3)
    axes.set(xscale="symlog", yscale="log", xlabel=r"$t/t_{1/2}$", ylabel=r"training loss $\alpha^2\mathcal{L}$")
    axes.set(xlim=(0, None), ylim=(1e-4, 2))
    axes.legend(title=f"{SQRT_H_ALPHA}, h = {table[H].max()}", fontsize=8, ncols=2)
    return figure


def output_growth(table: pd.DataFrame) -> Figure | None:
    """Fig. 10: ‖f − f₀‖/√h against t/t_½ deep in the feature regime (eq. 32), with slope 1 for early times."""
    part = table[(table[X] <= 1.01e-2) & (table["seed"] == table["seed"].min())].dropna(subset=["t_half"])
    if not len(part):
        return None
    figure, axes = plt.subplots()
    styles = dict(zip(sorted(part[X].unique()), ("-", "--", ":", "-."), strict=False))
    widths = sorted(part[H].unique())
    for _, row in part.iterrows():
        history, colour = row["run"].history, COLOURS[widths.index(row[H]) % len(COLOURS)]
        label = f"h = {row[H]}, {SQRT_H_ALPHA} = {row[X]:g}"
        y = history["output/df_rms"] / np.sqrt(row[H])
        axes.plot(history["t"] / row["t_half"], y, styles.get(row[X], "-"), color=colour, label=label)
    axes.plot([1e-2, 0.2], [0.02, 0.4], "k-", lw=0.8)
    axes.annotate("slope 1", (0.2, 0.4), (-6, 0), textcoords="offset points", ha="right")
    axes.axhline(1, color="grey", lw=0.8)
    axes.set(xscale="log", yscale="log", xlabel=r"$t/t_{1/2}$", ylabel=r"$\|f-f_0\|/\sqrt{h}$", ylim=(1e-3, None))
    axes.legend(fontsize=8)
    return figure


ODD = re.compile(r"[^\w.-]")
"""Characters that a file's name does without."""
FIGURES: dict[str, Callable[[pd.DataFrame], Figure | None]] = {
    "phase_diagram": phase_diagram,
    "kernel_change": kernel_change,
    "weight_change": weight_change,
    "half_loss_time": half_loss_time,
    "test_error": test_error,
    "variance": variance,
    "loss_curves": loss_curves,
    "output_growth": output_growth,
}


NEEDS = {
    "phase_diagram": "kernel_change",
    "kernel_change": "kernel_change",
    "weight_change": "weights/change",
    "half_loss_time": "t_half",
    "test_error": "test/error",
    "loss_curves": "t_half",
}
"""Column that a figure draws: without a value there the figure would be empty."""


def draw(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draw every figure that the sweep can show, as ``folder/NAME.png``; those that need more are left out.

    To these comes one for each number that only the runs themselves know: an observable of the user's own.

    Raises:
        StoreError: they cannot be written; links below the folder that holds ``folder`` are refused.
    """
    written = []
    with plt.rc_context(STYLE):
        for name, function in FIGURES.items():
            figure = function(table) if name not in NEEDS or table[NEEDS[name]].notna().any() else None
            if figure is not None:
                written.append(save_figure(figure, folder / f"{name}.png", below=folder.parent))
                plt.close(figure)
        for name, quantity in others(table.columns, quantities(table["run"])).items():
            figure = observable(table, name, quantity)
            path = folder / f"{ODD.sub('_', name)[:100]}.png"
            written.append(save_figure(figure, path, below=folder.parent))
            plt.close(figure)
    return written
