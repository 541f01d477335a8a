"""Draw the loss on a plane through the weights of a trained network.

Axes are the first two eigenvectors of the Hessian, of length 1; random, or Adam's moments, each row of a weight as long
as that of the network. It needs a run with stored weights (observe.weights=ends), and writes a .csv with a, b and the
loss, and a picture.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import data_argument

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from feature_lazy.measure.landscape import Plane

AXES = ("hessian", "random", "adam")
"""Those of ``measure.landscape``, without what that imports."""
SETS = ("train", "test")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("run", metavar="RUN", help="folder of a run, such as results/mine/runs/ID")
    parser.add_argument("--axes", choices=AXES, default=AXES[0], help="default: hessian")
    parser.add_argument("--span", type=float, default=1.0, help="how far along each axis, to both sides (default: 1)")
    parser.add_argument("--points", type=int, default=25, help="along each axis, odd (default: 25)")
    parser.add_argument("--set", choices=SETS, default=SETS[0], help="whose patterns make the loss (default: train)")
    parser.add_argument("--patterns", type=int, help="how many of them, the first ones (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of random axes (default: 0)")
    data_argument(parser)
    parser.add_argument(
        "--out", default="landscape", metavar="NAME", help="of NAME.csv and NAME.png (default: landscape)"
    )


def call(options: argparse.Namespace) -> int:
    """Draw, and say where, and how curved the plane is along its axes.

    Raises:
        ConfigError: a plane that cannot be drawn, or a network that is not one of its weights.
        StoreError: a run that is not there, not complete, or without weights; or files that cannot be written.
    """
    from matplotlib.pyplot import close

    from feature_lazy.core.tables import csv_of
    from feature_lazy.measure.landscape import plane
    from feature_lazy.runs.landscape import stored_curvature
    from feature_lazy.study.figures.saving import save_bytes, save_figure

    curvature, config = stored_curvature(Path(options.run), options.set, options.patterns, options.data)
    if not config.activation.smooth:
        say(f"activation={config.activation.kind} has a kink: the loss is smooth piece by piece")
    batch = getattr(config.dynamics, "batch", 0) or 32
    found = plane(curvature, options.axes, options.span, options.points, batch=batch, seed=options.seed)
    rows = _rows(found)
    figure = _picture(rows, found, options)
    for path in (
        save_bytes(Path(f"{options.out}.csv"), csv_of(rows), below=None),
        save_figure(figure, Path(f"{options.out}.png"), below=None),
    ):
        say(f"{counted(len(rows), 'point')} in {path}")
    close(figure)
    for number, (bent, value) in enumerate(zip(found.curvatures, found.eigenvalues, strict=True), start=1):
        beside = f", the Hessian's eigenvalue is {float(value):.6g}" if options.axes == AXES[0] else ""
        say(f"curvature along axis {number}: {float(bent):.6g}{beside}")
    return 0


def _rows(plane: "Plane") -> "pd.DataFrame":
    import pandas as pd

    steps = plane.steps.numpy()
    places = pd.MultiIndex.from_product([steps, steps], names=["a", "b"])
    return pd.DataFrame({"loss": plane.loss.flatten().numpy()}, places).reset_index()


def _picture(rows: "pd.DataFrame", plane: "Plane", options: argparse.Namespace) -> "Figure":
    import matplotlib.pyplot as plt

    from feature_lazy.study.figures.style import sized

    style: Any = sized(None)
    with plt.rc_context(style):
        figure, axes = plt.subplots()
        grid = rows.pivot_table(index="b", columns="a", values="loss", dropna=False)
        drawn = axes.contourf(grid.columns, grid.index, grid, levels=24)
        axes.plot(0, 0, "+", color="white")
        kind = "eigenvector" if options.axes == AXES[0] else f"{options.axes} direction"
        axes.set(xlabel=f"a, along {kind} 1", ylabel=f"b, along {kind} 2", aspect="equal")
        figure.colorbar(drawn, label=f"loss on {options.set} patterns")
    return figure
