"""Means over the splits of the data: what is said of one training set has its error bar from several."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from feature_lazy.runs.reading import Run
from feature_lazy.runs.series import WEIGHTS
from feature_lazy.study.estimate import Estimate, average


def splits(table: pd.DataFrame) -> pd.Series:
    """Seed of the data of each run."""
    return pd.Series([run.config.get("dataset", {}).get("seed", 0) for run in table["run"]], table.index, dtype=object)


def firsts(table: pd.DataFrame) -> pd.DataFrame:
    """One run of each split: for what α, width and seed do not matter to."""
    return table[~splits(table).duplicated()]


def with_weights(table: pd.DataFrame) -> pd.DataFrame:
    """The runs of several splits that keep their weights, or none: for what takes too long to be said of any sweep."""
    if splits(table).nunique() < 2:
        return table[:0]
    return table[pd.Series([WEIGHTS in run.kinds for run in table["run"]], table.index, dtype=bool)]


def over_splits(table: pd.DataFrame, value: Callable[[Run], float]) -> Estimate | None:
    """Mean over the runs of each split of the data, and its error over splits; None of fewer than two."""
    return mean_of_splits(over_each(table, value)) if splits(table).nunique() > 1 else None


def over_each(table: pd.DataFrame, value: Callable[[Run], float]) -> np.ndarray:
    """Means over the runs of each split, (splits,)."""
    found = pd.Series([value(run) for run in table["run"]], table.index, dtype=float)
    return found.groupby(splits(table)).mean().to_numpy()


def mean_of_splits(values: Iterable[float]) -> Estimate | None:
    """Mean of values of splits, and its error; None of fewer than two."""
    each = np.array(list(values), dtype=float)
    return average(each) if len(each) > 1 else None
