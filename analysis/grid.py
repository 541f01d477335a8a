"""One observable of a sweep as an array over width, √h·α and seed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.sweep import H, X


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
        """The finite values of a column; the mean where several runs have the same place."""
        y = table[column].to_numpy(float) if column in table else np.full(len(table), np.nan)
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
