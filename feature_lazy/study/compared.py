"""Two results folders side by side: keys in which they differ, and observables run by run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.study.figures.plot import filtered
from feature_lazy.study.pairs import Comparison, compare
from feature_lazy.study.table import CELL, differences, of_kind, with_runs


def keys_that_differ(first: Path, second: Path, where: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
    """Keys of the configuration, α, width and seed left out, with the value on each side; ``–`` where a side has none.

    Raises:
        StoreError: see ``observables``.
    """
    one, other = (_flat(of_kind(_table(folder, where)["run"].tolist())[0]) for folder in (first, second))
    names = sorted({*one, *other})
    return {name: (one.get(name, "–"), other.get(name, "–")) for name in names if one.get(name) != other.get(name)}


def observables(first: Path, second: Path, where: Sequence[str] = ()) -> dict[str, Comparison]:
    """The difference of each number that both sides measured, over the runs of the same h, √h·α and seed.

    Raises:
        StoreError: no complete run, a side that mixes several kinds of runs, or no run of the same h, √h·α and seed.
    """
    one, other = (_table(folder, where) for folder in (first, second))
    skipped = {*CELL, "run", "run_id", "alpha", "P", "L"}
    names = [
        name
        for name in one
        if name in other and name not in skipped and _measured(one, name) and _measured(other, name)
    ]
    found = {name: compare(one, other, name) for name in names}
    made = {name: comparison for name, comparison in found.items() if comparison is not None}
    if not made:
        raise StoreError(f"{first} and {second} have no runs of the same h, √h·α and seed, which could be compared.")
    return made


def _measured(table: pd.DataFrame, name: str) -> bool:
    return bool(pd.api.types.is_numeric_dtype(table[name]) and np.isfinite(table[name].astype(float)).any())


def _table(folder: Path, where: Sequence[str]) -> pd.DataFrame:
    table = filtered(with_runs(load_sweep(folder)), where)
    for name, values in differences(table).items():
        few = ", ".join(map(str, values))
        raise StoreError(f"{folder} mixes runs with {name} = {few}: choose by --where {name}={values[0]}.")
    return table


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in config.items():
        found |= _flat(value, f"{path}{name}.") if isinstance(value, Mapping) else {f"{path}{name}": str(value)}
    return found
