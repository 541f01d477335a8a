"""Vega-Lite specifications of the page's figures. They hold no data: the page hands each the rows it is to show.

Colours are CSS variables, so that light, dark and print are a matter of the style sheet alone.
"""

from typing import Any

import altair as alt

INK = "currentColor"
EFFECTS = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **{f"{part}Color": INK for part in ("label", "title", "tick", "domain")},
        "gridColor": "var(--grid)",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "domainOpacity": 0.4,
        "tickOpacity": 0.4,
        "tickSize": 4,
    },
    "legend": {"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal", "titleFontSize": 12},
}
"""The look of all figures."""
POWERS = "replace(format(datum.value, abs(log(datum.value)/LN10) >= 3 ? '~e' : '~g'), '+', '')"
"""Labels of logarithmic axes: 0.01, 1, 100, 1e3."""
LEGEND = 40
"""Height of a colour legend, pixels: left empty above the figure that has none, so that the three stand in line."""
DATA = alt.Data(name="rows")
SQRT_H_ALPHA = "√h·α"


def _log(channel: str, title: str, grid: bool = True) -> dict[str, Any]:
    axis = alt.Axis(title=title, labelExpr=POWERS, tickCount=_decades(channel), labelOverlap="greedy", grid=grid)
    return {"axis": axis, "scale": alt.Scale(type="log", nice=False)}


def _decades(channel: str) -> alt.ExprRef:
    """As many ticks as make them powers of ten alone, unless a scale spans less than two of them."""
    return alt.ExprRef(f"max(2, min(7, floor(log(domain('{channel}')[1] / domain('{channel}')[0]) / LN10)))")


def _linear(title: str, form: str) -> dict[str, Any]:
    return {"axis": alt.Axis(title=title, format=form, tickCount=6), "scale": alt.Scale(zero=True)}


def _tooltip(*fields: tuple[str, str, str]) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{name}:Q", title=title, **({"format": form} if form else {})) for name, title, form in fields]


CELL = (
    ("h", "width h", "~g"),
    ("x", SQRT_H_ALPHA, ".4~g"),
    ("alpha", "α", ".4~g"),
    ("done", "complete runs", ""),
    ("kernel", "kernel change", ".3~g"),
    ("error", "test error", ".2%"),
    ("error_sem", "standard error", ".2%"),
    ("excess", "above the best of its width", ".2%"),
)


def phase(colour: alt.Color, value: str, *above: alt.Chart, opacity: Any = alt.Undefined) -> alt.LayerChart:
    """Cells h × √h·α (or α: the page chooses which edges it hands over) in a colour, with the measured boundary.

    Args:
        colour: what it shows.
        value: the field that must be there for a cell to be coloured; others are outlined.
        above: more to draw on the cells.
        opacity: an encoding, if not all are alike.
    """
    y = alt.Y("h:O", sort="descending", axis=alt.Axis(title="width h"))
    base = alt.Chart(DATA).encode(
        x=alt.X("left:Q", **_log("x", SQRT_H_ALPHA, grid=False)), x2="right:Q", y=y, tooltip=_tooltip(*CELL)
    )
    known, boundary = f"datum.kind == 'cell' && isValid(datum.{value})", "datum.kind == 'boundary'"
    filled = base.transform_filter(known).mark_rect(cursor="pointer").encode(color=colour, opacity=opacity)
    empty = base.transform_filter(f"datum.kind == 'cell' && !isValid(datum.{value})").mark_rect(
        cursor="pointer", fill="transparent", stroke="var(--muted)", strokeDash=[3, 3], strokeWidth=1, opacity=0.7
    )
    at = {"x": alt.X("left:Q"), "y": y}
    line = alt.Chart(DATA).transform_filter(boundary).encode(order="h:Q", **at)
    halo = line.mark_line(stroke="white", strokeWidth=5, opacity=0.75)
    stroke = line.mark_line(
        stroke="black", strokeWidth=2, strokeDash=[6, 3], point={"fill": "black", "stroke": "white", "size": 45}
    ).encode(tooltip=[alt.Tooltip("label:N", title="kernel change = 1")])
    chosen = base.transform_filter("datum.kind == 'chosen'").mark_rect(
        fill="transparent", stroke="var(--mark)", strokeWidth=3, tooltip=None, cursor="pointer"
    )
    return alt.layer(filled, empty, *above, halo, stroke, chosen).properties(width="container", height=230)


def _gradient(field: str, scheme: str, *, log: bool, form: str) -> alt.Color:
    """A colour scale; of a logarithmic one the page sets the range, as far below 1 as above, so that 1 is white."""
    kind: dict[str, Any] = {"type": "log", "reverse": True, "nice": False} if log else {"type": "linear", "zero": False}
    scale = alt.Scale(scheme=scheme, **kind)
    legend = alt.Legend(orient="top", title=None, gradientLength=alt.ExprRef("width - 30"), gradientThickness=10)
    if log:
        legend.labelExpr = POWERS
        legend.tickCount = _decades("color")
    else:
        legend.format = form
        legend.tickCount = 5
    return alt.Color(f"{field}:Q", scale=scale, legend=legend)


def _best() -> alt.LayerChart:
    """The regime of each cell, strong where it tests as well as the best of its width; a star on the best."""
    star = (
        alt.Chart(DATA)
        .transform_filter("datum.kind == 'cell' && datum.best")
        .mark_text(text="★", fontSize=17, fill="white", stroke="black", strokeWidth=0.6, tooltip=None)
        .encode(x="centre:Q", y=alt.Y("h:O", sort="descending"))
    )
    chart = phase(alt.Color("colour:N", scale=None), "regime", star, opacity=alt.Opacity("strength:Q", scale=None))
    return chart.properties(padding={"top": LEGEND, "left": 5, "right": 5, "bottom": 5})


def curves(y: dict[str, Any]) -> alt.LayerChart:
    """A quantity over time: thin lines for members, thick ones for means, each in the colour of its row.

    The page writes the name of the quantity on the axis ``y``.
    """
    shown = (("h", "width h", "~g"), ("x", SQRT_H_ALPHA, ".4~g"), ("seed", "seed", ""), ("t", "time", ".4~g"))
    base = alt.Chart(DATA).encode(
        x=alt.X("t:Q", **_log("x", "training time t")),
        y=alt.Y("v:Q", **y),
        detail="curve:N",
        color=alt.Color("colour:N", scale=None),
        tooltip=_tooltip(*shown, ("v", "value", ".4~g")),
    )
    members = base.transform_filter("datum.member").mark_line(strokeWidth=1.1, opacity=0.45, clip=True)
    means = base.transform_filter("!datum.member").mark_line(strokeWidth=2.2, clip=True, cursor="pointer")
    return alt.layer(members, means).properties(width="container", height=190)


def against(title: str, *, linear: bool) -> alt.LayerChart:
    """A quantity against √h·α: a line and points with error bars for each width, dashed for ensembles and guides."""
    y = alt.Y("v:Q", **(_linear(title, ".0%") if linear else _log("y", title)))
    shown = (("h", "width h", "~g"), ("x", SQRT_H_ALPHA, ".4~g"), ("v", title, ".4~g"), ("n", "seeds", ""))
    base = alt.Chart(DATA).encode(
        x=alt.X("x:Q", **_log("x", SQRT_H_ALPHA)), y=y, detail="series:N", color=alt.Color("colour:N", scale=None)
    )
    solid = base.transform_filter("!datum.dashed").mark_line(strokeWidth=1.8)
    dashed = base.transform_filter("datum.dashed").mark_line(strokeWidth=1.8, strokeDash=[5, 4])
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
    points = (
        base.transform_filter("!datum.guide")
        .mark_point(size=42, filled=True, opacity=1, cursor="pointer")
        .encode(shape=alt.Shape("shape:N", scale=None), tooltip=_tooltip(*shown))
    )
    return alt.layer(solid, dashed, bars, points).properties(width="container", height=260)


def judged() -> alt.LayerChart:
    """Laws that are decided, one above another: what was measured with its error bar, and what was expected."""
    names = alt.Axis(title=None, labelLimit=330, domain=False, ticks=False, grid=True)
    y = alt.Y("name:N", sort=None, axis=names)
    shown = [alt.Tooltip(f"{name}:N") for name in ("name", "expected", "measured", "verdict")]
    base = alt.Chart(DATA).encode(y=y, tooltip=shown)
    x = alt.X("value:Q", axis=alt.Axis(title="value ± 95 %", tickCount=5), scale=alt.Scale(zero=False))
    colour = alt.Color("colour:N", scale=None)
    expected = base.mark_tick(thickness=3, size=18, color=INK, opacity=0.55).encode(x="target:Q")
    bars = base.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", color=colour)
    points = base.mark_point(size=55, filled=True, opacity=1).encode(x=x, color=colour)
    return alt.layer(points, bars, expected).properties(width="container")  # as high as the page makes it


def specifications() -> dict[str, dict[str, Any]]:
    """Every kind of figure by name: ``phase/…``, ``curves/…`` by axis, ``against/…``, and ``laws``."""
    charts: dict[str, alt.LayerChart] = {
        "phase/kernel": phase(_gradient("kernel", "redblue", log=True, form=""), "kernel"),
        "phase/error": phase(_gradient("error", "cividis", log=False, form=".1%"), "error"),
        "phase/best": _best(),
        "curves/log": curves(_log("y", "")),
        "curves/percent": curves(_linear("", ".0%")),
        "curves/linear": curves(_linear("", "~g")),
        "against/kernel": against("kernel change ‖Θ − Θ₀‖/‖Θ₀‖", linear=False),
        "against/weights": against("√h·‖w − w₀‖/‖w₀‖", linear=False),
        "against/half": against("half-loss time t_½/(√h·α)", linear=False),
        "against/error": against("test error", linear=True),
        "against/variance": against("h·Var F", linear=False),
        "laws": judged(),
    }
    # Checking them against the schema takes a second; the tests draw every one in a browser.
    return {name: chart.configure(**EFFECTS).to_dict(validate=False) for name, chart in charts.items()}
