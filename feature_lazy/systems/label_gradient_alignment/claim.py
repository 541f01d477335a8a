"""Whether the label–gradient alignment of a network's kernel, early, orders networks by their accuracy at the end."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.study.estimate import Estimate, estimate
from feature_lazy.study.law import KINDS, Law, law
from feature_lazy.study.ranking import LEAST, at_time, by_network, kendall
from feature_lazy.study.verdict import ABOVE_ZERO
from feature_lazy.systems.label_gradient_alignment import PAPER

LGA, ERROR = "kernel/lga", "test/error"
EPOCHS = (0, 1, 3)
NEEDS = {"needs": (LGA, ERROR), "outcomes": ("converged", "t_end"), "across": KINDS, "quiet": True}
LACKS = f"{LEAST} kinds of networks, trained by sgd in the article's units with epochs of one length"


def _ranks(epochs: int) -> Law:
    """τ > 0 at one of ``EPOCHS``: an independent calculation has 0.58, 0.60 and 0.55 over 27 networks on MNIST."""
    when = f"after {epochs} epochs" if epochs > 1 else "after 1 epoch" if epochs else "at the start"

    @law(f"τ of LGA {when} and final accuracy", paper=PAPER, expected=ABOVE_ZERO, lacks=LACKS, **NEEDS)
    def measure(table: pd.DataFrame) -> Estimate | None:
        """Above 0: what is aligned early ends more accurate."""
        points = networks(table)
        return None if points is None else _tau(points, {epochs: 1})

    return measure


at_start, after_one, after_three = map(_ranks, EPOCHS)


@law("rise of τ over 3 epochs", paper=PAPER, expected=ABOVE_ZERO, lacks=LACKS, **NEEDS)
def rise(table: pd.DataFrame) -> Estimate | None:
    """Training makes LGA the better predictor; an independent calculation does not find it with these networks."""
    points = networks(table)
    return None if points is None else _tau(points, {EPOCHS[-1]: 1, 0: -1})


def _tau(points: np.ndarray, signs: dict[int, int]) -> Estimate:
    """A sum of τ at some of ``EPOCHS``, with signs; networks are what is resampled."""
    columns = {epochs: points[:, EPOCHS.index(epochs)] for epochs in signs}
    return estimate(lambda w: sum(s * kendall(columns[e], points[:, -1], w) for e, s in signs.items()), len(points))


def networks(table: pd.DataFrame) -> np.ndarray | None:
    """LGA at each of ``EPOCHS`` and the final accuracy, a row for each network.

    None where there are not ``LEAST`` kinds of them, or where they have no epochs of one length.
    """
    runs = list(table["run"])
    kinds = {repr([run.config.get(group) for group in ("architecture", "activation")]) for run in runs}
    lengths = {_epoch(run.config) for run in runs}
    if len(kinds) < LEAST or len(lengths) > 1 or None in lengths:
        return None
    [length] = lengths
    early = {str(epochs): at_time(table, LGA, epochs * length) for epochs in EPOCHS}
    points = by_network(table.assign(**early, accuracy=1 - table[ERROR]), [*early, "accuracy"])
    return points.to_numpy(float) if len(points) >= LEAST else None


def _epoch(config: dict) -> float | None:
    """Training time of an epoch; None unless it is by SGD, whose t is lr × updates for every network."""
    dynamics = config.get("dynamics", {})
    if dynamics.get("kind") != "sgd" or dynamics.get("units") != "article":
        return None
    return dynamics["lr"] * config["dataset"]["n_train"] / dynamics["batch"]


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Accuracy at the end against LGA at the start and after the last of ``EPOCHS``, for the atlas."""
    points = networks(table)
    assert points is not None  # the sweep has what it needs
    for epochs, marker in ((EPOCHS[0], "o"), (EPOCHS[-1], "^")):
        column = EPOCHS.index(epochs)
        axes.plot(
            points[:, column], points[:, -1], marker, label=f"after {epochs} epochs" if epochs else "at the start"
        )
    axes.set(xlabel="label–gradient alignment of Θ", ylabel="test accuracy at the end")
    axes.legend()
