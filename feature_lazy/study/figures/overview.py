"""Figures of any sweep: each function takes the table of ``table.read`` and returns a sheet of one panel."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.measure.quantity import Quantity
from feature_lazy.study.baselines.tables import lines
from feature_lazy.study.crossings import crossings
from feature_lazy.study.figures.axes import beside, percent
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import COLOURS, SQRT_H_ALPHA, sized
from feature_lazy.study.grid import edges
from feature_lazy.study.labels import others, quantities
from feature_lazy.study.regimes import ASSUMED
from feature_lazy.study.table import LIMIT, H, X, ensemble, over_seeds

ONLY = "a"
"""The panel of a sheet of one."""
CHANGE = r"kernel change $\|\Theta-\Theta_0\|/\|\Theta_0\|$"


def _sheet(name: str) -> Sheet:
    return Sheet(name, {ONLY: ""}, columns=1, height=None)


def _against_x(name: str, table: pd.DataFrame, column: str, ylabel: str, scale: str = "log") -> Sheet:
    """A line with error bars over seeds for each width, the axis of √h·α logarithmic."""
    sheet = _sheet(name)
    _by_width(sheet, table, column)
    sheet.decorate(ONLY, SQRT_H_ALPHA, ylabel, f"log-{scale}")
    return sheet


def _by_width(sheet: Sheet, table: pd.DataFrame, column: str) -> None:
    widths = list(over_seeds(table, column).groupby(H))
    for index, (h, group) in enumerate(widths):
        bars = sheet.line(ONLY, f"h = {h}", group[X], group["mean"], group["sem"], style=index, ms=4, capsize=2)
        beside(sheet.axes[ONLY], bars, index, len(widths))


def phase_diagram(table: pd.DataFrame, name: str = "phase_diagram") -> Sheet:
    """Kernel change over α × h, white where it is 1, with the measured boundary and the law α* ~ 1/√h."""
    sheet = _sheet(name)
    axes = sheet.axes[ONLY]
    means = over_seeds(table.assign(log=np.log10(table["kernel_change"])), "log")
    heights = sorted(means[H].unique())
    limit = np.ceil(means["mean"].abs().max())
    mesh = None
    for h, bottom, top in zip(heights, *edges(np.array(heights)), strict=True):
        row = means[means[H] == h].sort_values(X)
        left, right = edges(row["alpha"].to_numpy())
        x = np.append(left, right[-1])
        mesh = axes.pcolormesh(x, [bottom, top], row["mean"].to_numpy()[None], cmap="RdBu_r", vmin=-limit, vmax=limit)
    for _, row in over_seeds(table, "kernel_change").iterrows():
        sheet.record(ONLY, f"h = {row[H]:g}", row["alpha"], row["mean"], row["sem"])
    axes.set(xscale="log", yscale="log", xlabel=r"output scale $\alpha$", ylabel="width $h$")
    axes.set_yticks(heights, [str(h) for h in heights])
    axes.minorticks_off()
    axes.grid(visible=False)
    assert mesh is not None
    sheet.figure.colorbar(mesh, ax=axes, label=r"$\log_{10}$ of the kernel change")
    _boundary(sheet, table, heights)
    axes.set_title("feature training  ←   →  lazy training", fontsize="medium", loc="center")
    return sheet


def _boundary(sheet: Sheet, table: pd.DataFrame, heights: Sequence[int]) -> None:
    """Where the kernel changes by its own size, above the cells, and α* ~ 1/√h through it."""
    found = crossings(table, "kernel_change", 1.0)
    if not found:
        return
    axes = sheet.axes[ONLY]
    scales = (table["alpha"] / table[X]).groupby(table[H]).first()
    h = np.array(list(found), dtype=float)
    alpha = np.array([place.value * scales[width] for width, place in found.items()])
    axes.plot(alpha, h, "ko", label="kernel change = 1")
    low, high = edges(np.array(heights))
    reach = np.array([low[0], high[-1]])
    star = np.exp(np.log(alpha * np.sqrt(h)).mean())
    axes.plot(star / np.sqrt(reach), reach, "k-", lw=1.5, label=rf"$\alpha^* = {star:.3g}/\sqrt{{h}}$")
    sheet.figure.legend(loc="outside lower center", ncols=2)


def kernel_change(table: pd.DataFrame) -> Sheet:
    """Fig. 5a: ‖Θ − Θ₀‖/‖Θ₀‖ at the end of training against √h·α."""
    sheet = _against_x("kernel_change", table, "kernel_change", CHANGE)
    sheet.axes[ONLY].axhline(1, color="grey", lw=0.8)
    largest = over_seeds(table[table[H] == table[H].max()], "kernel_change").set_index(X)["mean"]
    if len(lazy := largest[largest.index >= ASSUMED["lazy"][0]]) > 1:
        sheet.guide(ONLY, (lazy.index[0], lazy.index[-1]), 3 * lazy.iloc[0], -1)
    depth = table["L"].iloc[0]  # missing for a network whose layers are not known
    if pd.notna(depth) and len(feature := largest[largest.index <= ASSUMED["feature"][1]]) > 1:
        sheet.guide(ONLY, (feature.index[0], feature.index[-1]), feature.iloc[0] / 4, -2 * depth / (depth + 1))
    return sheet


def observable(table: pd.DataFrame, name: str, quantity: Quantity) -> Sheet:
    """Any number that runs end with against √h·α, by its label and its scale."""
    unit = f" ({quantity.unit})" if quantity.unit else ""
    scale = "log" if quantity.scale == "log" else "linear"
    sheet = _against_x(ODD.sub("_", name)[:100], table, name, quantity.label + unit, scale)
    if quantity.scale == "percent":
        percent(sheet.axes[ONLY])
    return sheet


def weight_change(table: pd.DataFrame) -> Sheet:
    """Fig. 9: √h‖w − w₀‖/‖w₀‖ against √h·α."""
    scaled = table.assign(scaled=np.sqrt(table[H]) * table["weights/change"])
    return _against_x("weight_change", scaled, "scaled", r"$\sqrt{h}\,\|w-w_0\|/\|w_0\|$")


def half_loss_time(table: pd.DataFrame) -> Sheet:
    """Fig. 5b: t_½/(√h·α) against √h·α; flat in the feature regime, ~ 1/(√h·α) in the lazy one."""
    ratio = table.assign(ratio=table["t_half"] / table[X])
    return _against_x("half_loss_time", ratio, "ratio", r"$t_{1/2}\,/\,(\sqrt{h}\,\alpha)$")


def test_error(table: pd.DataFrame) -> Sheet:
    """Figs. 3c–d, 4c–d: test error of one network, of the mean of an ensemble, and of the infinitely wide lazy one."""
    sheet = _sheet("test_error")
    axes = sheet.axes[ONLY]
    _by_width(sheet, table, "test/error")
    statistics = ensemble(table)
    for index, (h, group) in enumerate(statistics.groupby(H) if len(statistics) else []):
        dashed = {"ls": "--", "ms": 3, "lw": 1, "legend": False}
        sheet.line(ONLY, f"h = {h}, ensemble", group[X], group["error"], style=index, **dashed)
    if len(statistics):
        axes.plot([], [], "k--", label=f"mean of {int(statistics['n'].max())} networks")
    if LIMIT in table and pd.notna(limit := table[LIMIT].iloc[0]):
        axes.axhline(limit, color="black", ls=":", lw=1.2, label=r"$h\to\infty$, lazy")
    _baselines(axes, table)
    sheet.decorate(ONLY, SQRT_H_ALPHA, "test error", "log-linear", ylim=(0, None))
    percent(axes)
    return sheet


def _baselines(axes: Axes, table: pd.DataFrame) -> None:
    """Errors of the baselines that are stored beside the runs: level where all widths share one."""
    for index, (name, found) in enumerate(lines(table).groupby("name", sort=False)):
        style = {"color": f"C{index % 10}", "lw": 1, "label": name}
        if found[H].isna().all():
            axes.axhline(found["error"].iloc[0], ls="-.", **style)
        for h, part in found.groupby(H):
            axes.plot(part[X], part["error"], "x", ls="-.", ms=3, **style | {"label": f"{name}, h = {h:g}"})


def variance(table: pd.DataFrame) -> Sheet | None:
    """Fig. 4a–b: h·Var of the predictor over initialisations (eq. 16); flat in h where Var ~ 1/h (eq. 17)."""
    statistics = ensemble(table)
    if not len(statistics):
        return None
    sheet = _sheet("variance")
    for index, (h, group) in enumerate(statistics.groupby(H)):
        sheet.line(ONLY, f"h = {h}", group[X], group[H] * group["variance"], style=index, ms=4)
    sheet.decorate(ONLY, SQRT_H_ALPHA, r"$h\,\mathrm{Var}\,F$")
    return sheet


def loss_curves(table: pd.DataFrame) -> Sheet:
    """Fig. 5c: training loss over its initial value against t/t_½ at the largest width, one line for each √h·α."""
    sheet = _sheet("loss_curves")
    part = table[(table[H] == table[H].max()) & (table["seed"] == table["seed"].min())].dropna(subset=["t_half"])
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.95, len(part)))
    for colour, (_, row) in zip(colours, part.iterrows(), strict=True):
        history = row["run"].history
        time = history["t"] / row["t_half"]
        sheet.line(ONLY, f"{row[X]:g}", time, history["train/loss"], style={"color": colour, "lw": 1.3})
    sheet.legend(ONLY, title=f"{SQRT_H_ALPHA},\nh = {table[H].max()}")
    limits = {"xlim": (0, None), "ylim": (1e-4, 2)}
    sheet.decorate(ONLY, r"$t/t_{1/2}$", r"training loss $\alpha^2\mathcal{L}$", "symlog-log", **limits)
    return sheet


def output_growth(table: pd.DataFrame) -> Sheet | None:
    """Fig. 10: ‖f − f₀‖/√h against t/t_½ deep in the feature regime (eq. 32), with slope 1 for early times."""
    part = table[(table[X] <= 1.01e-2) & (table["seed"] == table["seed"].min())].dropna(subset=["t_half"])
    if not len(part):
        return None
    sheet = _sheet("output_growth")
    axes = sheet.axes[ONLY]
    styles = dict(zip(sorted(part[X].unique()), ("-", "--", ":", "-."), strict=False))
    widths = sorted(part[H].unique())
    for _, row in part.iterrows():
        history, colour = row["run"].history, COLOURS[widths.index(row[H]) % len(COLOURS)]
        label = f"h = {row[H]}, {SQRT_H_ALPHA} = {row[X]:g}"
        y = history["output/df_rms"] / np.sqrt(row[H])
        sheet.line(ONLY, label, history["t"] / row["t_half"], y, style={"color": colour, "ls": styles.get(row[X], "-")})
    axes.plot([1e-2, 0.2], [0.02, 0.4], "k-", lw=0.8)
    axes.annotate("slope 1", (0.2, 0.4), (-6, 0), textcoords="offset points", ha="right")
    axes.axhline(1, color="grey", lw=0.8)
    sheet.decorate(ONLY, r"$t/t_{1/2}$", r"$\|f-f_0\|/\sqrt{h}$", ylim=(1e-3, None))
    return sheet


ODD = re.compile(r"[^\w.-]")
"""Characters that a file's name does without."""
FIGURES: dict[str, Callable[[pd.DataFrame], Sheet | None]] = {
    one.__name__: one
    for one in (
        phase_diagram,
        kernel_change,
        weight_change,
        half_loss_time,
        test_error,
        variance,
        loss_curves,
        output_growth,
    )
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


def draw(
    table: pd.DataFrame,
    folder: Path,
    formats: Sequence[str] = ("png",),
    width: float | None = None,
    *,
    below: Path | None,
) -> tuple[list[Path], list[str]]:
    """Draw every figure that the sweep can show, as ``folder/NAME.png``; those that need more are left out.

    To these comes one for each number that only the runs themselves know: an observable of the user's own.

    Args:
        table: runs.
        folder: where.
        formats: of the pictures; ``csv`` for what is drawn in them.
        width: of the pictures, in inches.
        below: see ``core.files``.

    Returns:
        The files, and a sentence for each format that was left out.

    Raises:
        StoreError: they cannot be written.
    """
    written, left_out = list[Path](), dict[str, None]()
    with plt.rc_context(sized(width)):
        made = [one(table) for name, one in FIGURES.items() if name not in NEEDS or table[NEEDS[name]].notna().any()]
        own = others(table.columns, quantities(table["run"]))
        for sheet in (*made, *(observable(table, name, quantity) for name, quantity in own.items())):
            if sheet is not None:
                files, why = sheet.save(folder, formats, below=below)
                written += files
                left_out |= dict.fromkeys(why)
    return written, list(left_out)
