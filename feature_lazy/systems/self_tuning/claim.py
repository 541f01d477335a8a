"""Where a network that tunes the strength of its regulariser ends, beside trainings at a grid of strengths."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.exponents import mean
from feature_lazy.study.figures.axes import tidy
from feature_lazy.study.figures.style import look
from feature_lazy.study.joined import alike
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import CELL
from feature_lazy.study.verdict import Bound, Expected, Reading, judged
from feature_lazy.systems.self_tuning import PAPER

STRENGTH, LOSS = "hyper/strength", "valid/loss"
TUNED, GRID = "self_tuning", "gradient_flow"
ALL = (0.0, np.inf)
OPTIMUM = Expected(0, 0.3, "σ, and a parabola through the grid")
"""An independent calculation (ridge regression, n = 60, d = 40, affine best response) is within 0.035 of the optimum;
where weights answer to ln λ by no line, the mean over σ is another one."""
AS_GOOD = Bound(1.01, "below")
"""The same calculation is within 2e-4: at its optimum the loss is flat."""
BETTER = Bound(1)
LACKS = "gradient_flow at three strengths of the same regulariser, the best within, and at the start"
TOGETHER = {
    "paper": PAPER,
    "where": "section 4",
    "needs": (STRENGTH, LOSS),
    "lacks": LACKS,
    "outcomes": ("converged", "stationary", "t_end"),
    "across": KINDS,
    "quiet": True,
}


@law("ln λ at the end less that of the best on a grid", expected=OPTIMUM, **TOGETHER)
def at_optimum(table: pd.DataFrame) -> Iterator[Reading]:
    """0, from wherever λ begins."""
    return _readings(table, OPTIMUM, "difference")


@law("validation loss over that of the best of a grid", expected=AS_GOOD, **TOGETHER)
def as_good_as_a_grid(table: pd.DataFrame) -> Iterator[Reading]:
    """At most 1.01."""
    return _readings(table, AS_GOOD, "ratio")


@law("validation loss of training at the λ of the start, over that of tuning it", expected=BETTER, **TOGETHER)
def better_than_the_start(table: pd.DataFrame) -> Iterator[Reading]:
    """Above 1."""
    return _readings(table, BETTER, "gain")


def _readings(table: pd.DataFrame, expected: Expected | Bound, column: str) -> Iterator[Reading]:
    for start, rows in beside_grids(table):
        yield judged(expected, mean(rows, column, ALL), on=f"from λ = {start:g}", lacks=LACKS)


def beside_grids(table: pd.DataFrame) -> list[tuple[float, pd.DataFrame]]:
    """Runs that tune λ by its start, with ``difference``, ``ratio`` and ``gain``; NaN where the grid does not say.

    The grid of a run are those of gradient flow that differ from it in dynamics and strength alone, at its h, √h·α and
    seed.
    """
    found = []
    for values in alike(table, _popped):
        grid = [rows.assign(strength=strength) for (kind, strength), rows in values if kind == GRID]
        for (kind, start), rows in values:
            if kind == TUNED:
                told = [_beside(row, start, grid) for _, row in rows.iterrows()]
                found.append((start, rows.assign(**pd.DataFrame(told, index=rows.index))))
    return sorted(found, key=lambda one: one[0])


def _popped(config: dict[str, Any]) -> list[Any] | None:
    """Dynamics and strength of a run, taken out; None of one that has no part in this."""
    kind = config.pop("dynamics", {}).get("kind")
    strength = config.get("regulariser", {}).pop("strength", None)
    return [kind, strength] if kind in (TUNED, GRID) and strength is not None else None


def _beside(row: pd.Series, start: float, grid: list[pd.DataFrame]) -> dict[str, float]:
    at = pd.concat(grid) if grid else pd.DataFrame(columns=[*CELL, LOSS, "strength"])
    at = at[(at[CELL] == row[CELL]).all(axis=1)].sort_values("strength")
    logs, losses = np.log(at["strength"].to_numpy(float)), at[LOSS].to_numpy(float)
    first = losses[np.isclose(logs, np.log(start))]
    return {
        "difference": float(np.log(row[STRENGTH])) - optimum(logs, losses),
        "ratio": float(row[LOSS] / losses.min()) if len(losses) > 2 else np.nan,
        "gain": float(first[0] / row[LOSS]) if len(first) else np.nan,
    }


def optimum(logs: np.ndarray, losses: np.ndarray) -> float:
    """Where the parabola through the least loss and its neighbours is least; NaN if that has none on one side."""
    i = int(np.argmin(losses)) if len(losses) else 0
    if not 0 < i < len(losses) - 1:
        return float("nan")
    a, b, _ = np.polyfit(logs[i - 1 : i + 2], losses[i - 1 : i + 2], 2)
    return float(-b / (2 * a))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The validation loss against λ, of the grid and where tuning ends, for the atlas."""
    kinds = pd.Series([run.config["dynamics"]["kind"] for run in table["run"]], table.index)
    grid = table[kinds == GRID]
    grid = grid.groupby([run.config["regulariser"]["strength"] for run in grid["run"]])[LOSS]
    centre, error = grid.mean(), grid.sem()
    axes.errorbar(centre.index, centre, error, capsize=2, label="gradient flow at each λ", **look(0))
    for index, (start, rows) in enumerate(beside_grids(table)):
        style = look(index + 1) | {"linestyle": "none"}
        axes.plot(rows[STRENGTH], rows[LOSS], label=f"tuned, from λ = {start:g}", **style)
    axes.set(xscale="log", xlabel="strength λ of the regulariser", ylabel="validation loss")
    axes.legend()
    tidy(axes.xaxis)
