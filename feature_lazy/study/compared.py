"""Two results folders side by side: keys in which they differ, runs without a partner, and observables run by run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.core.matching import matches
from feature_lazy.core.words import counted
from feature_lazy.runs.survey import Entry, RunState, survey
from feature_lazy.runs.sweep import load_sweep
from feature_lazy.study.filters import filtered
from feature_lazy.study.pairs import ROUNDING, Comparison, compare
from feature_lazy.study.table import CELL, H, X, differences, of_kind, with_runs

SHOWN = 4
"""Values that are named of what a side lacks."""


def read_side(folder: Path, where: Sequence[str] = ()) -> pd.DataFrame:
    """The complete runs of one side.

    Raises:
        StoreError: no complete run, or several kinds of runs.
    """
    table = filtered(with_runs(load_sweep(folder)), where)
    for name, values in differences(table).items():
        few = ", ".join(map(str, values))
        raise StoreError(f"{folder} mixes runs with {name} = {few}: choose by --where {name}={values[0]}.")
    return table


def keys_that_differ(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Keys of the configuration but α, width and seed, with the value on each side; ``–`` where a side has none."""
    one, other = (_flat(of_kind(side["run"].tolist())[0]) for side in (first, second))
    names = sorted({*one, *other})
    return {name: (one.get(name, "–"), other.get(name, "–")) for name in names if one.get(name) != other.get(name)}


def observables(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Comparison]:
    """The difference of each number that both sides measured, over runs of the same h, √h·α and seed, if any.

    Runs are paired by h, √h·α and seed. Of each seed the mean of A − B over the cells of h and √h·α that all seeds have
    in both folders, so that seeds are of the same cells; of these the mean ± 95 % over seeds. One seed has no error.
    Of columns with the same values, such as ``kernel/change`` and ``kernel_change``, the first.
    """
    skipped = {*CELL, "run", "run_id", "alpha", "P", "L"}
    shared = [
        name
        for name in first
        if name in second and name not in skipped and _measured(first, name) and _measured(second, name)
    ]
    names = [name for i, name in enumerate(shared) if not any(_alike((first, second), name, b) for b in shared[:i])]
    found = {name: compare(first, second, name) for name in names}
    return {name: comparison for name, comparison in found.items() if comparison is not None}


def without_partner(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """A sentence on the runs of each side that the other has no partner of; empty where there are none."""
    counts, whys, total = [], [], 0
    for name, own, other in (("A", first[CELL], second[CELL]), ("B", second[CELL], first[CELL])):
        alone = own[~pd.MultiIndex.from_frame(own).isin(pd.MultiIndex.from_frame(other))]
        if len(alone):
            counts.append(f"{counted(len(alone), 'run')} of {name}")
            whys.append(f"{name} alone has {_lacks(alone, other)}")
            total += len(alone)
    has = "has" if total == 1 else "have"
    return f"{' and '.join(counts)} {has} no partner: {'; '.join(whys)}." if counts else ""


def not_done(first: Path, second: Path, where: Sequence[str] = ()) -> str:
    """A sentence on the runs that were asked for and are not done; empty where there are none.

    Raises:
        StoreError: a folder cannot be read.
    """
    undone = {name: _undone(folder, where) for name, folder in (("A", first), ("B", second))}
    each = [f"{counted(number, 'run')} of {name}" for name, number in undone.items() if number]
    return f"{' and '.join(each)} {'is' if sum(undone.values()) == 1 else 'are'} not done." if each else ""


def _lacks(alone: pd.DataFrame, other: pd.DataFrame) -> str:
    """Values of h, √h·α and seed that the other side has nowhere; else cells that it lacks."""
    parts = []
    for name, shown in ((H, "h"), (X, "√h·α"), ("seed", "seed")):
        values = sorted(set(alone[name]) - set(other[name]))
        if values:
            few = ", ".join(f"{value:.4g}" if name == X else f"{value}" for value in values[:SHOWN])
            parts.append(f"{shown} = {few}{', …' if len(values) > SHOWN else ''}")
    return " and ".join(parts) or "other combinations of h, √h·α and seed"


def _undone(folder: Path, where: Sequence[str]) -> int:
    return sum(entry.state != RunState.DONE and _passes(entry, where) for entry in survey(folder).entries)


def _passes(entry: Entry, where: Sequence[str]) -> bool:
    """Whether no rule leaves a run out, as far as is known of one that is not done."""
    for rule in where:
        name, _, values = rule.partition("=")
        known = entry.columns.get(name, entry.run.setting(name) if entry.run else None)
        if known is not None and not any(matches(known, value.strip()) for value in values.split(",")):
            return False
    return True


def _alike(tables: Sequence[pd.DataFrame], name: str, before: str) -> bool:
    return all(
        np.allclose(one[name].astype(float), one[before].astype(float), rtol=ROUNDING, atol=0, equal_nan=True)
        and not (one[name] == 0).all()
        for one in tables
    )


def _measured(table: pd.DataFrame, name: str) -> bool:
    return bool(pd.api.types.is_numeric_dtype(table[name]) and np.isfinite(table[name].astype(float)).any())


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in config.items():
        found |= _flat(value, f"{path}{name}.") if isinstance(value, Mapping) else {f"{path}{name}": str(value)}
    return found
