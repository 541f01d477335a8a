"""Add and subtract what runs of several tasks have added to one parent: task arithmetic (arXiv:2305.12827).

Runs start from one parent (seed=from_run), learn a task each with the head that they begin with (dynamics.train names
the other weights), and have observe.weights=ends. A row for networks, for linearised networks (dynamics=linearised) and
for what networks have added, put into linearised ones.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.terminal import console, say
from feature_lazy.launch.commands.selection import data_argument

if TYPE_CHECKING:
    import pandas as pd

    from feature_lazy.study.tasks import Arithmetic


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("folders", nargs="+", metavar="DIR", help="results folders, of a task each or of several")
    data_argument(parser)
    parser.add_argument(
        "--out", action="append", default=[], metavar="FILE", help="ξ(a, b) as .png, .pdf, .svg or .csv; repeatable"
    )


def call(options: argparse.Namespace) -> int:
    """Print the table, and write what is asked for.

    Raises:
        ConfigError: runs that are no tasks of one parent.
        StoreError: runs without weights, of other parents or with heads that were trained; or a file's name.
    """
    from rich.table import Table

    from feature_lazy.core.errors import StoreError
    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.tasks import CONTROL, arithmetic

    paths = [Path(name) for name in options.out]
    for path in paths:
        if path.suffix not in (".png", ".pdf", ".svg", ".csv"):
            raise StoreError(f"--out {path}: the name must end in .png, .pdf, .svg, .csv.")
    kinds = arithmetic([run for folder in options.folders for run in load_sweep(folder).runs], options.data)
    tasks = next(iter(next(iter(kinds.values())).values())).tasks
    table = Table(
        title=f"{len(tasks)} tasks: {', '.join(task.name for task in tasks)}",
        caption=(
            "± is 95 % over seeds. Σ: accuracy of the sum over that of each network alone; a is chosen on validation "
            f"patterns. −τ: accuracy on the task and on the others, which keep {CONTROL:.0%} at the a below."
        ),
    )
    table.add_column("")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name, measured in ROWS.items():
        table.add_row(name, *(_over_seeds(measured, list(seeds.values())) for seeds in kinds.values()))
    console().print(table)
    if paths:
        grid = _grid(kinds)
        for path in paths:
            _save(grid, path)
            say(f"ξ of {len(kinds)} kinds, in {path}")
    return 0


ROWS: "dict[str, Callable[[Arithmetic], float]]" = {
    "alone": lambda one: one.single,
    "Σ, a = 1": lambda one: one.added(),
    "Σ, best a": lambda one: one.added(one.best),
    "best a": lambda one: one.best,
    "ξ(1, 1)": lambda one: one.disentanglement().item(),
    "superposition error": lambda one: one.superposition,
    "−τ, a = 1: the task": lambda one: one.negated()[0],
    "−τ, a = 1: others": lambda one: one.negated()[1],
    "−τ, best a: the task": lambda one: one.negated(one.forgetting)[0],
    "−τ, best a: others": lambda one: one.negated(one.forgetting)[1],
    "−τ: best a": lambda one: one.forgetting,
}
GRID = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Factors at which ξ is drawn."""


def _over_seeds(measured: "Callable[[Arithmetic], float]", seeds: "list[Arithmetic]") -> str:
    """Mean and error over seeds, as a table has them; what is tiny with its exponent."""
    import numpy as np

    from feature_lazy.study.estimate import average

    found = average(np.array([measured(one) for one in seeds]))
    if 0 < abs(found.value) < 5e-4:
        return f"{found.value:.0e}"
    return str(found)


def _grid(kinds: "dict[str, dict[int, Arithmetic]]") -> "pd.DataFrame":
    """ξ(a, b) of each kind, mean over seeds."""
    import numpy as np
    import pandas as pd

    rows = []
    for kind, seeds in kinds.items():
        found = np.mean([one.disentanglement(GRID) for one in seeds.values()], axis=0)
        rows += [
            {"kind": kind, "a": a, "b": b, "xi": found[i, j], "seeds": len(seeds)}
            for i, a in enumerate(GRID)
            for j, b in enumerate(GRID)
        ]
    return pd.DataFrame(rows)


def _save(grid: "pd.DataFrame", path: Path) -> None:
    import matplotlib.pyplot as plt

    from feature_lazy.core.tables import csv_of
    from feature_lazy.study.figures.saving import save_bytes, save_figure
    from feature_lazy.study.figures.style import sized

    if path.suffix == ".csv":
        save_bytes(path, csv_of(grid), below=None)
        return
    kinds = list(grid["kind"].unique())
    style: Any = sized(None)
    with plt.rc_context(style):
        figure, panels = plt.subplots(1, len(kinds), figsize=(2.6 * len(kinds) + 0.8, 2.9), squeeze=False)
        images = []
        for axes, kind in zip(panels[0], kinds, strict=True):
            square = grid[grid["kind"] == kind].pivot(index="b", columns="a", values="xi")
            images.append(axes.imshow(square, origin="lower", vmin=0, vmax=grid["xi"].max(), cmap="viridis"))
            axes.grid(visible=False)
            axes.set(title=kind, xlabel="a", ylabel="b" if kind == kinds[0] else "")
            axes.set_xticks(range(len(GRID)), [f"{a:g}" for a in GRID])
            axes.set_yticks(range(len(GRID)), [f"{b:g}" for b in GRID])
        figure.colorbar(images[-1], ax=panels[0], label="ξ(a, b)")
        save_figure(figure, path, below=None)
        plt.close(figure)
