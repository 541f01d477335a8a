"""Which regime tests better: the least mean error of the feature regime less that of the lazy one, seed by seed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from feature_lazy.study.estimate import Estimate, estimate, unless_alike, weighted_mean
from feature_lazy.study.grid import Grid
from feature_lazy.study.law import ARTICLE, law
from feature_lazy.study.regimes import crossover
from feature_lazy.study.table import fitted
from feature_lazy.study.verdict import ABOVE_ZERO, Reading, judged

FEATURE, LAZY = "feature", "lazy"
ERROR = "test/error"
IMAGES = ("fashion_mnist", "mnist", "kmnist", "emnist", "cifar10", "digits")
"""Beginnings of the names of the article's data sets, and of those that stand for them at small size."""
TRAINED = ("gradient_flow", "momentum_flow", "sgd", "adam")
"""Dynamics of a network whose kernel may change."""
UNFIT = 0.04
"""Fraction of unfit patterns up to which the article keeps a run (Fig. 7b): some end at their last update."""


@dataclass(frozen=True)
class Lead:
    """Where feature and lazy training test best, and the difference of the two.

    Attributes:
        feature: √h·α of the lowest mean test error below x*, where the kernel change is 1.
        lazy: that from x* on.
        difference: test error there, feature − lazy, with its error over seeds, which share w₀ over √h·α.
    """

    feature: float
    lazy: float
    difference: Estimate

    @property
    def winner(self) -> str | None:
        """The regime with the lower test error; None if the two are not told apart."""
        if not self.difference.told:
            return None
        return FEATURE if self.difference.value < 0 else LAZY


def lead(table: pd.DataFrame) -> Lead | None:
    """Lead of one width or, each width's difference averaged, of several; None without errors in both regimes."""
    grid = Grid.of(table, ERROR)
    below = grid.x < crossover(table)
    known = np.isfinite(grid.values).any(2)
    widths = known[:, below].any(1) & known[:, ~below].any(1)
    if not widths.any():
        return None
    values = grid.values[widths]

    def difference(weights: np.ndarray) -> np.ndarray:
        return (_least(values[:, below], weights) - _least(values[:, ~below], weights)).mean(1)

    means = weighted_mean(np.ones((1, len(values))), weighted_mean(np.ones((1, values.shape[2])), values)[0].T)[0]
    best = [float(grid.x[side][np.nanargmin(means[side])]) for side in (below, ~below)]
    return Lead(*best, unless_alike(estimate(difference, values.shape[2])))


def _least(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Least mean over seeds: values (H, X, n), weights (B, n) → (B, H); NaN where these seeds have no √h·α at all."""
    means = weighted_mean(weights, values)
    least = np.where(np.isfinite(means), means, np.inf).min(2)
    return np.where(np.isfinite(least), least, np.nan)


@law(
    "test error, feature less lazy",
    paper=ARTICLE,
    where="Figs. 3, 6, 7, Table 1",
    outcomes=("converged", "stationary", "t_end"),
)
def ahead(table: pd.DataFrame) -> list[Reading]:
    """Lazy training is ahead on images with fully connected networks, feature training on 10 components and CNNs.

    The article says nothing of other data, and a CNN only of CIFAR10.
    """
    expected = expected_ahead(table)
    if not expected:
        return []
    found, sign = lead(fitted(table, UNFIT)[0]), 1 if expected == LAZY else -1
    difference = found and replace(found.difference, value=sign * found.difference.value)
    row = judged(ABOVE_ZERO, difference, lacks="runs in both regimes")
    expects = f"{'above' if sign > 0 else 'below'} 0: {expected} ahead"
    if found is None:
        return [replace(row, expected=expects)]
    return [replace(row, expected=expects, measured=str(found.difference), estimate=found.difference)]


def expected_ahead(table: pd.DataFrame) -> str:
    """Which regime the article finds ahead, ``feature`` or ``lazy``, for runs of one kind; empty if it does not say."""
    if not len(table) or not {"dataset", "architecture", "dynamics"} <= {*table}:
        return ""
    data, network, dynamics = (str(table[name].iloc[0]) for name in ("dataset", "architecture", "dynamics"))
    if dynamics not in TRAINED or not data.startswith(IMAGES):
        return ""
    if network == "cnn":
        return FEATURE if data.startswith("cifar10") else ""
    if network != "fully_connected":
        return ""
    return FEATURE if " pca" in data else LAZY
