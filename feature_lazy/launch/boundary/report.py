"""What a boundary search has found: a table on the terminal, boundary.json and boundary.csv in the results folder."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import write_atomically
from feature_lazy.core.tables import inert
from feature_lazy.core.terminal import console, say
from feature_lazy.core.words import counted
from feature_lazy.launch.boundary.crossing import Found, Lost, half_width, members
from feature_lazy.launch.boundary.search import Search
from feature_lazy.settings.cells import alpha, columns, sqrt_h_alpha

if TYPE_CHECKING:
    from rich.table import Table

JSON, CSV = "boundary.json", "boundary.csv"
SLOPE = -0.5
"""Expected of ln α* against ln h (Fig. 3c–d)."""


def settings(searches: Sequence[Search]) -> list[str]:
    """What tells each search from others, beside its width: overrides that not all have."""
    shared = set.intersection(*(set(search.overrides) for search in searches))
    own = [[one for one in search.overrides if one not in shared] for search in searches]
    return [" ".join(one for one in overrides if not one.startswith("width.h=")) for overrides in own]


def rows(searches: Sequence[Search]) -> list[dict[str, Any]]:
    """Each search as flat values; ``error`` is half the 95 % interval of ln α*, and of ln(√h·α*)."""
    return [{"setting": name, **_row(search)} for name, search in zip(settings(searches), searches, strict=True)]


def _row(search: Search) -> dict[str, Any]:
    found = search.state
    place = search.at(found.alpha) if isinstance(found, Found) else None
    return {
        "h": columns(search.config, 0)["h"],
        "alpha": alpha(place) if place else None,
        "sqrt_h_alpha": sqrt_h_alpha(place) if place else None,
        "error": found.error if isinstance(found, Found) else None,
        "error_seeds": found.seeds if isinstance(found, Found) else None,
        "error_interpolation": found.bend if isinstance(found, Found) else None,
        "seeds": len(search.readings.seeds),
        "runs": search.runs,
        "trained": search.trained,
        "grid_runs": search.grid_runs,
        "problem": problem(search),
    }


def problem(search: Search) -> str:
    """Why a search has no answer, or one that is less sharp than was asked for; else empty."""
    found = search.state
    if isinstance(found, Lost):
        return found.why
    if not isinstance(found, Found) or 2 * found.error <= search.target.resolution:
        return ""
    n, wanted = len(search.readings.seeds), members(found, search.target)
    return f"the interval is {2 * found.error:.2g} wide in ln α: {n} seeds leave so much; about {wanted} would do."


def slopes(searches: Sequence[Search]) -> Iterator[dict[str, Any]]:
    """Exponent of α* ~ h^s for all searches that differ in the width alone, if two or more have an answer.

    Its error bar is over seeds, which are the same at all widths, and over what the interpolation leaves.
    """
    groups: dict[str, list[tuple[float, float, Found]]] = {}
    for name, search in zip(settings(searches), searches, strict=True):
        if isinstance(search.state, Found):
            place, h = alpha(search.at(search.state.alpha)), columns(search.config, 0)["h"]
            groups.setdefault(name, []).append((math.log(h), math.log(place), search.state))
    for name, group in groups.items():
        x, y = np.array([one[:2] for one in group]).T
        if np.ptp(x) > 0:
            u = (x - x.mean()) / np.sum((x - x.mean()) ** 2)
            seeds = half_width(u @ np.array([found.shifts for *_, found in group]))
            bend = float(np.abs(u) @ [found.bend for *_, found in group])
            yield {"setting": name, "slope": float(u @ y), "error": seeds + bend, "expected": SLOPE}


def show(searches: Sequence[Search]) -> None:
    """Print the table, the slopes, what it took, and what went wrong."""
    found = rows(searches)
    console().print(_table(searches, found))
    for one in slopes(searches):
        end = f" ({one['setting']})" if one["setting"] else ""
        say(f"ln α* ~ s·ln h: s = {one['slope']:.3f} ± {one['error']:.3f}, expected {one['expected']:g}{end}")
    used, asked, grid = (sum(one[key] for one in found) for key in ("runs", "trained", "grid_runs"))
    say(f"{counted(used, 'run')}, {asked} of them asked for now; a grid of this resolution has {grid}.")
    for one in found:
        if one["problem"]:
            where = " ".join([f"h = {one['h']}", *one["setting"].split()])
            say(f"{where}: {one['problem']}")


def _table(searches: Sequence[Search], found: Sequence[dict[str, Any]]) -> "Table":
    from rich.table import Table

    quantity, level = searches[0].readings.quantity, searches[0].target.level
    table = Table(title=f"{quantity} = {level:g}", caption="±: 95 %, over seeds and from the interpolation")
    for column in ("h", "α*", "√h·α*", "±", "runs", "of a grid"):
        table.add_column(column, justify="right")
    table.add_column("setting", style="dim")
    for one in found:
        place = ["–"] * 3
        if one["alpha"] is not None:
            place = [f"{one['alpha']:.4g}", f"{one['sqrt_h_alpha']:.4g}", f"{one['error']:.1%}"]
        table.add_row(str(one["h"]), *place, str(one["runs"]), str(one["grid_runs"]), one["setting"])
    return table


def save(root: Path, searches: Sequence[Search]) -> None:
    """Write ``boundary.json`` and ``boundary.csv``.

    Raises:
        StoreError: the folder cannot be written.
    """
    found = rows(searches)
    points = [
        {"setting": one["setting"], "h": one["h"], "alpha_value": value, "ln_over_level": y.tolist()}
        for one, search in zip(found, searches, strict=True)
        for value, y in sorted(search.readings.points().items())
    ]
    content = {
        "quantity": searches[0].readings.quantity,
        **asdict(searches[0].target),
        "boundaries": found,
        "slopes": list(slopes(searches)),
        "points": points,
    }
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]))
    writer.writeheader()
    writer.writerows({name: inert(value) for name, value in row.items()} for row in found)
    try:
        write_atomically(root / JSON, (json.dumps(content, indent=1) + "\n").encode(), below=root)
        write_atomically(root / CSV, text.getvalue().encode(), below=root)
    except OSError as error:
        raise StoreError(f"{JSON} and {CSV} cannot be written to {root} ({error.strerror}).") from error
