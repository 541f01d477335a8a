"""What the article says about each figure, and what the drawn data say: for the gallery and the terminal."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

CROSSOVER = 10.0
"""√h·α between the regimes (Fig. 5a)."""
DEEP_FEATURE, DEEP_LAZY = (0.0, 0.11), (0.9e3, np.inf)
"""Ranges of √h·α of the exponents: as wide as the small sweeps reach."""
ENSEMBLE = ", ensemble"


@dataclass(frozen=True)
class Finding:
    """One sentence on what is seen, and whether it is what the article says; None where that cannot be told."""

    seen: str
    agrees: bool | None


@dataclass(frozen=True)
class Claim:
    """What the article says, and how to look for it in the data of the figure."""

    says: str
    look: Callable[[pd.DataFrame], Finding]


def rows(data: pd.DataFrame, panel: str, *, ensemble: bool = False) -> pd.DataFrame:
    """The points of a panel, of single networks or of ensembles."""
    part = data[(data["panel"] == panel) & np.isfinite(data["y"])]
    return part[part["series"].str.endswith(ENSEMBLE) == ensemble]


def exponent(part: pd.DataFrame, between: tuple[float, float] = (0.0, np.inf)) -> float:
    """Slope of log y against log x with an intercept for each series; NaN without two x."""
    part = part[(part["x"] > between[0]) & (part["x"] <= between[1]) & (part["y"] > 0)]
    if part["x"].nunique() < 2:
        return float("nan")
    x, y = np.log(part["x"]), np.log(part["y"])
    dx = x - x.groupby(part["series"]).transform("mean")
    dy = y - y.groupby(part["series"]).transform("mean")
    return float((dx * dy).sum() / (dx * dx).sum())


def number(value: float, digits: str = ".2f") -> str:
    """A number with a true minus; a dash where there is none."""
    return format(value, digits).replace("-", "−") if np.isfinite(value) else "–"


def near(*pairs: tuple[float, float, float]) -> bool | None:
    """Whether all numbers (value, expected, tolerance) are as expected; None if one is not known."""
    if not all(np.isfinite(value) for value, *_ in pairs):
        return None
    return all(abs(value - expected) <= tolerance for value, expected, tolerance in pairs)


def regimes(part: pd.DataFrame) -> Finding:
    """Which regime has the least error, for each series of a panel against √h·α; it agrees if it is the lazy one."""
    texts, ahead = [], []
    for name, group in part.groupby("series", sort=False):
        feature, lazy = group[group["x"] < CROSSOVER]["y"], group[group["x"] >= CROSSOVER]["y"]
        if len(feature) and len(lazy):
            ahead.append("feature" if feature.min() < lazy.min() else "lazy")
            texts.append(f"{name}: feature {feature.min():.1%}, lazy {lazy.min():.1%}")
    return Finding("; ".join(texts) or "not both regimes", all(a == "lazy" for a in ahead) if ahead else None)


def fig1(data: pd.DataFrame) -> Finding:
    """Where the kernel change passes 1, at each width."""
    crossings = []
    for name, group in data.groupby("series"):
        group = group.sort_values("x")
        x, y = np.log(group["x"].to_numpy()), np.log(group["y"].to_numpy())
        below = np.flatnonzero((y[:-1] > 0) & (y[1:] <= 0))
        if len(below):
            i = below[0]
            alpha = np.exp(x[i] + y[i] * (x[i + 1] - x[i]) / (y[i] - y[i + 1]))
            crossings.append(alpha * np.sqrt(float(name.removeprefix("h = "))))
    spread = max(crossings) / min(crossings) if crossings else float("nan")
    text = ", ".join(number(c, ".3g") for c in crossings)
    return Finding(f"kernel change passes 1 at √hα = {text}", bool(spread < 2) if crossings else None)


def fig2(data: pd.DataFrame) -> Finding:
    """Nothing is measured there."""
    return Finding(f"{data['series'].nunique()} losses, drawn from their formulas: no run", None)


def fig3(data: pd.DataFrame) -> Finding:
    """Which regime is ahead against α, at every width; the x of each width becomes √h·α."""
    part = rows(data, "c")
    width = part["series"].str.extract(r"h = (\d+)")[0].astype(float)
    return regimes(part.assign(x=part["x"] * np.sqrt(width)))


def fig4(data: pd.DataFrame) -> Finding:
    """The exponent of h, and how far errors reach over h."""
    slope, single, mean = exponent(rows(data, "a")), rows(data, "d"), rows(data, "d", ensemble=True)
    text = f"Var F ~ h^{number(slope)}"
    if len(single) and len(mean):
        gain = [(p["y"].max() - p["y"].min()) for p in (single, mean)]
        text += f"; error over h spans {gain[0]:.1%} for one network, {gain[1]:.1%} for ensembles"
    return Finding(text, near((slope, -1.0, 0.25)))


def fig5(data: pd.DataFrame) -> Finding:
    """Exponents of kernel change and half-loss time in both regimes."""
    feature, lazy = (exponent(rows(data, "b"), between) for between in (DEEP_FEATURE, DEEP_LAZY))
    time = exponent(rows(data, "f"), DEEP_FEATURE), exponent(rows(data, "f"), DEEP_LAZY)
    text = f"kernel change: {number(feature)} in the feature regime, {number(lazy)} in the lazy one; "
    text += f"t₁/(√hα): {number(time[0])} and {number(time[1])}"
    return Finding(text, near((feature, -1.45, 0.25), (lazy, -1, 0.05), (time[0], 0, 0.1), (time[1], -1, 0.05)))


def fig6(data: pd.DataFrame) -> Finding:
    """Which regime is ahead on both sets."""
    parts = [regimes(rows(data, "a")), regimes(rows(data, "e"))]
    known = [p.agrees for p in parts if p.agrees is not None]
    return Finding("; ".join(p.seen for p in parts), all(known) if known else None)


def fig7(data: pd.DataFrame) -> Finding:
    """Which regime is ahead in each panel."""
    texts, agrees = [], []
    for panel, expected in (("a", False), ("b", None), ("c", True), ("d", True)):
        found = regimes(rows(data, panel))
        texts.append(f"({panel}) {found.seen}")
        if expected is not None and found.agrees is not None:
            agrees.append(found.agrees == expected)
    return Finding("; ".join(texts), all(agrees) if agrees else None)


def fig8(data: pd.DataFrame) -> Finding:
    """Test errors at the largest width."""
    texts, agrees = [], []
    for panel in "cd":
        part = rows(data, panel)
        at = part[part["x"] == part["x"].max()].set_index("series")["y"]
        if {"initial kernel", "final kernel", "network"} <= set(at.index):
            texts.append(
                f"({panel}) "
                + ", ".join(f"{name} {at[name]:.1%}" for name in ("initial kernel", "final kernel", "network"))
            )
            agrees.append(abs(at["final kernel"] - at["network"]) < abs(at["initial kernel"] - at["network"]))
    return Finding("; ".join(texts) or "no frozen kernels", all(agrees) if agrees else None)


def fig9(data: pd.DataFrame) -> Finding:
    """Exponents of the weight change in both regimes."""
    feature, lazy = (exponent(rows(data, "b"), between) for between in (DEEP_FEATURE, DEEP_LAZY))
    text = f"weight change: {number(feature)} in the feature regime, {number(lazy)} in the lazy one"
    return Finding(text, near((feature, -0.27, 0.06), (lazy, -1, 0.05)))


def fig10(data: pd.DataFrame) -> Finding:
    """The exponent of t before the output takes off."""
    slope = exponent(rows(data, "a"), (0.0099, 0.2))
    return Finding(f"‖f − f₀‖ ~ t^{number(slope)} for t from 0.01 t₁ to 0.2 t₁", near((slope, 1.0, 0.1)))


def fig11(data: pd.DataFrame) -> Finding:
    """The exponent of h of each layer."""
    slopes = [exponent(group) for _, group in data.groupby("series")]
    text = ", ".join(number(slope) for slope in slopes)
    return Finding(f"exponents of h of the layers: {text}", near(*((slope, -0.5, 0.1) for slope in slopes)))


def fig12(data: pd.DataFrame) -> Finding:
    """Exponents in three ranges of √h·α."""
    low, middle, high = (exponent(data, between) for between in ((0, 1.1), (0.9e2, 1.1e6), (0.9e7, np.inf)))
    text = f"exponents {number(low)} for √hα ≤ 1, {number(middle)} from 1e2 to 1e6, {number(high)} above 1e7"
    return Finding(text, near((low, -1.7, 0.3), (middle, -0.5, 0.2), (high, -1.0, 0.2)))


def fig13(data: pd.DataFrame) -> Finding:
    """The largest difference, and what it costs."""
    difference, work = rows(data, "a")["y"], rows(data, "b").groupby("series", sort=False)["y"].mean()
    if not len(difference):
        return Finding("one bound only", None)
    cost = work.max() / work.min()
    text = f"outputs differ by at most {number(100 * difference.max(), '.2g')} %, for {cost:.0f} times the gradients"
    return Finding(text, bool(difference.max() < 0.05))


def fig14(data: pd.DataFrame) -> Finding:
    """Exponents of h and of P."""
    slope = exponent(data)
    p = data["series"].str.extract(r"P = (\d+)")[0].astype(float)
    common = data.assign(P=p, x=p, y=data["y"] * np.sqrt(p), series=data["x"].astype(str))
    growth = exponent(common)
    agrees = None if not np.isfinite(growth) else bool(growth > 0)
    return Finding(f"Var F ~ h^{number(slope)} over all h, and grows as P^{number(growth)} at fixed h", agrees)


def fig15(data: pd.DataFrame) -> Finding:
    """What αf has more in test error, at the smallest and at the largest α."""
    part, texts, found = rows(data, "a"), [], []
    width, own = part["series"].str.extract(r"h = (\d+)")[0].astype(float), part["series"].str.contains("f_0")
    for h in sorted(width.dropna().unique()):
        pair = [part[(width == h) & (own == centred)].set_index("x")["y"] for centred in (True, False)]
        change = (pair[1] - pair[0]).dropna()
        if len(change) > 1:
            small, large = change.iloc[0], change.iloc[-1]
            texts.append(f"h = {h:g}: αf has {small:+.1%} test error at the smallest α, {large:+.1%} at the largest")
            found.append(abs(large) > abs(small))
    return Finding("; ".join(texts).replace("-", "−") or "one of both only", all(found) if found else None)


def fig16(data: pd.DataFrame) -> Finding:
    """Difference of the test errors, and its error bar."""
    part = rows(data, "a")
    wide = part.pivot_table(index="x", columns="series", values="y").dropna()
    bars = part.pivot_table(index="x", columns="series", values="error").reindex(wide.index)
    if wide.shape[1] < 2 or not len(wide):
        return Finding("one of both only", None)
    difference = (wide.iloc[:, 0] - wide.iloc[:, 1]).abs()
    error = float(np.sqrt((bars**2).sum(axis=1)).mean())
    text = f"test errors differ by {difference.mean():.2%} in the mean over α, with error bars of {error:.2%}"
    return Finding(text, bool(difference.mean() < 2 * error) if error > 0 else None)


def table1(data: pd.DataFrame) -> Finding:
    """The least errors, row by row."""
    texts = []
    for name, group in data.groupby("series", sort=False):
        regimes_of = group.set_index("text")["y"]
        texts.append(f"{name}: " + ", ".join(f"{regime} {100 * y:.1f} %" for regime, y in regimes_of.items()))
    return Finding("; ".join(texts), None)


def table2(data: pd.DataFrame) -> Finding:
    """Exponents beside the heuristic's."""
    theory = data["text"].str.removeprefix("theory ").astype(float)
    texts = [
        f"{name.split(', ', 1)[1]} {number(y)} ({number(t)})"
        for name, y, t in zip(data["series"], data["y"], theory, strict=True)
    ]
    return Finding(
        "measured (theory): " + ", ".join(texts), near(*zip(data["y"], theory, [0.15] * len(data), strict=True))
    )
