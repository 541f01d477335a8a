"""One observable of a sweep as an array over width, √h·α and seed, and the edges of the cells that show it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.study.table import H, X, no_column


@dataclass(frozen=True)
class Grid:
    """Values of a column.

    Attributes:
        h: widths, ascending, (H,).
        x: √h·α, ascending, (X,).
        values: (H, X, n) for n seeds that have any; NaN where there is no value.
    """

    h: np.ndarray
    x: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, column: str) -> "Grid":
        """The finite values of a column; the mean where several runs have the same place.

        Raises:
            StoreError: the table has no such column.
        """
        if column not in table:
            raise StoreError(no_column(column, table))
        y = table[column].to_numpy(float)
        part, y = table[np.isfinite(y)], y[np.isfinite(y)]
        (h, i), (x, j), (seeds, k) = (np.unique(part[name], return_inverse=True) for name in (H, X, "seed"))
        total, count = np.zeros((2, len(h), len(x), len(seeds)))
        np.add.at(total, (i, j, k), y)
        np.add.at(count, (i, j, k), 1)
        return cls(h, x, np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))

    def log(self) -> "Grid":
        """Logarithms of the values; what is not positive is missing."""
        positive = self.values > 0
        return Grid(self.h, self.x, np.log(self.values, out=np.full_like(self.values, np.nan), where=positive))

    def between(self, low: float, high: float) -> "Grid":
        """The part with low ≤ √h·α ≤ high."""
        chosen = (self.x >= low) & (self.x <= high)
        return Grid(self.h, self.x[chosen], self.values[:, chosen])


def edges(centres: np.ndarray, lone: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edges of cells around sorted positive centres, half way between them in logarithms.

    Args:
        centres: in ascending order.
        lone: factor to each edge where there is one centre only.
    """
    logs = np.log(centres)
    if len(logs) == 1:
        return centres / lone, centres * lone
    middles = (logs[1:] + logs[:-1]) / 2
    first, last = 2 * logs[0] - middles[0], 2 * logs[-1] - middles[-1]
    bounds = np.exp(np.concatenate([[first], middles, [last]]))
    return bounds[:-1], bounds[1:]
