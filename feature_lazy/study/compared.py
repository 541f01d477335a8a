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

    Runs are paired by h, √h·α and seed. Of each seed the mean of A − B over the cells of h and √h·α that all seeds have
    in both folders, so that seeds are of the same cells; of these the mean ± 95 % over seeds. One seed has no error.
    Of columns with the same values, such as ``kernel/change`` and ``kernel_change``, the first.

    Raises:
        StoreError: no complete run, a side that mixes several kinds of runs, or no run of the same h, √h·α and seed.
    """
    one, other = (_table(folder, where) for folder in (first, second))
    skipped = {*CELL, "run", "run_id", "alpha", "P", "L"}
    shared = [
        name
        for name in one
        if name in other and name not in skipped and _measured(one, name) and _measured(other, name)
    ]
    names = [name for i, name in enumerate(shared) if not any(_alike((one, other), name, b) for b in shared[:i])]
    found = {name: compare(one, other, name) for name in names}
    made = {name: comparison for name, comparison in found.items() if comparison is not None}
    if not made:
        raise StoreError(f"{first} and {second} have no runs of the same h, √h·α and seed, which could be compared.")
    return made


def lonely(first: Path, second: Path, where: Sequence[str] = ()) -> list[str]:
    """A sentence on the runs without a partner, and on those that are not done; none where there are none.

    Raises:
        StoreError: see ``observables``.
    """
    sides = {name: _table(folder, where)[CELL] for name, folder in (("A", first), ("B", second))}
    alone = {}
    for (name, own), other in zip(sides.items(), reversed(sides.values()), strict=True):
        there = pd.MultiIndex.from_frame(own).isin(pd.MultiIndex.from_frame(other))
        if not there.all():
            alone[f"{counted(int((~there).sum()), 'run')} of {name}"] = _lacks(own[~there], other)
    sentences = []
    if alone:
        has = "has" if len(alone) == 1 and next(iter(alone)).startswith("1 ") else "have"
        why = "; ".join(f"{name.partition(' of ')[2]} alone has {text}" for name, text in alone.items())
        sentences.append(f"{' and '.join(alone)} {has} no partner: {why}.")
    undone = {name: _undone(folder, where) for name, folder in (("A", first), ("B", second))}
    if any(undone.values()):
        each = [f"{counted(number, 'run')} of {name}" for name, number in undone.items() if number]
        sentences.append(f"{' and '.join(each)} {'is' if sum(undone.values()) == 1 else 'are'} not done.")
    return sentences


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
