"""Runs that are equal but for one key of the configuration, found in a folder and put side by side."""

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.settings.config import Config, default_option
from feature_lazy.settings.key import default
from feature_lazy.settings.registry import find, presets
from feature_lazy.settings.registry import of_kind as option_of_kind
from feature_lazy.settings.schema import GROUPS
from feature_lazy.study.law import Joined
from feature_lazy.study.table import CELL, differences, of_kind

Plain = dict[str, Any]
Pop = Callable[[Plain], Any]
"""Takes a key out of a configuration and returns its value; None if the run has no part in the comparison."""


def alike(table: pd.DataFrame, pop: Pop) -> list[list[tuple[Any, pd.DataFrame]]]:
    """Runs that are equal but for a key, besides α, width, seed and what is observed.

    Args:
        table: runs of any kinds.
        pop: see ``Pop``.

    Returns:
        For each set of such runs the values of the key, each with its runs.
    """
    table = table.reset_index(drop=True)  # tables of several kinds count from 0 each
    groups: dict[str, dict[str, tuple[Any, list[int]]]] = {}
    for i, whole in enumerate(of_kind(list(table["run"]))):
        config = copy.deepcopy(whole)
        if (value := pop(config)) is not None:
            same = groups.setdefault(json.dumps(config, sort_keys=True), {})
            same.setdefault(json.dumps(value, sort_keys=True), (value, []))[1].append(i)
    return [[(value, table.iloc[rows]) for value, rows in values.values()] for values in groups.values()]


def labels(tables: Sequence[pd.DataFrame]) -> list[str]:
    """What tells tables of one kind each apart, such as ``, P = 20``."""
    names = list(differences(pd.concat(tables, ignore_index=True))) if tables else []
    return ["".join(f", {name} = {_value(table, name)}" for name in names) for table in tables]


def _value(table: pd.DataFrame, name: str) -> Any:
    """A column, or a key of the configuration, of runs that have it in common."""
    keys = pd.json_normalize(table["run"].iloc[0].config)
    return next((one[name].iloc[0] for one in (table, keys) if name in one), "not set")


def joined(table: pd.DataFrame, joins: Joined) -> list[tuple[str, pd.DataFrame]]:
    """Pairs of runs that are equal but for a key: a table for each kind of pairs, with what tells it from the others.

    A row is a pair, at one h, √h·α and seed: the columns of its first run, and those of its second with ``_other``.
    Where the key is a group, keys that both options have must be equal too.

    Args:
        table: runs of any kinds.
        joins: the key, and its values in the first and in the second run.
    """
    found = [
        (rows, others, other)
        for values in alike(table, lambda config: _popped(config, joins.key))
        for value, rows in values
        for other, others in values
        if value != other and _is(joins.key, value, joins.one) and _is(joins.key, other, joins.other)
        if _agree(joins, value, other)
    ]
    kinds = labels([rows for rows, _, _ in found])
    against = _differing([other for _, _, other in found])
    names = [f"{kind}, {other}" if other else kind for kind, other in zip(kinds, against, strict=True)]
    pairs = [rows.merge(others, on=CELL, suffixes=("", "_other")) for rows, others, _ in found]
    return [(name, pair) for name, pair in zip(names, pairs, strict=True) if len(pair)]


def _differing(values: Sequence[Any]) -> list[str]:
    """What tells values of a key apart, each as a person writes it; empty where they are one."""
    plain = [value if isinstance(value, dict) else {"": value} for value in values]
    names = sorted({name for value in plain for name in value if any(one.get(name) != value[name] for one in plain)})
    return [", ".join(f"{name}={value[name]}".removeprefix("=") for name in names if name in value) for value in plain]


def _is(key: str, value: Any, wanted: Any) -> bool:
    """Whether a value is the one that is meant; of a group by the name of an option or a preset. None means any."""
    if wanted is None or not isinstance(value, dict):
        return wanted is None or value == wanted
    preset = presets(key).get(wanted)
    if preset is None:
        return value["kind"] == find(key, wanted).option_name  # type: ignore[attr-defined]
    return value["kind"] == preset.of and all(value.get(name) == one for name, one in preset.values.items())


def _agree(joins: Joined, one: Any, other: Any) -> bool:
    """Whether two options of a group have the same values of the keys that both have, but for those of a preset."""
    if not isinstance(one, dict):
        return True
    named = [presets(joins.key)[name] for name in (joins.one, joins.other) if name in presets(joins.key)]
    free = {"kind", "version"} | {key for preset in named for key in preset.values}
    alone = one["kind"] == other["kind"] and not named  # two settings of one option: what differs is what is compared
    return alone or all(one[name] == other[name] for name in {*one} & {*other} - free)


def _popped(config: Plain, key: str) -> Any:
    """Take a key out of a stored configuration: its value, or its default where only another one is stored."""
    *path, name = key.split(".")
    node = config
    for part in path:
        node = node.get(part)
        if not isinstance(node, dict):
            return None
    if name in node:
        return node.pop(name)
    return _default(config, key)


def _default(config: Plain, key: str) -> Any:
    """Value of a key that is not stored: it came later than the runs, and is at its default; None if there is none."""
    group, *path = key.split(".")
    if not path and group in GROUPS:
        return {"kind": default_option(group)}
    made: Any = Config if not path else option_of_kind(group, config[group].get("kind"))
    for part in path[:-1] if made else ():
        made = next((f.type for f in fields(made) if f.name == part and is_dataclass(f.type)), None)
        if made is None:
            return None
    found = next((f for f in fields(made) if f.name == key.split(".")[-1]), None) if made else None
    if found is None or not found.metadata.get("later"):
        return None
    return default(found)


def largest_gap(pairs: pd.DataFrame, name: str = "F_test") -> pd.Series:
    """Largest rms difference of an array over time between the two runs of each pair, over times that both have.

    Such as sup_t ‖F − F_other‖ over test patterns, with ``observe/also=[outputs]`` in both.

    Args:
        pairs: a table of ``joined``.
        name: of the array.

    Raises:
        StoreError: a run without it.
    """
    gaps = []
    for run, other in zip(pairs["run"], pairs["run_other"], strict=True):
        (t, one), (s, two) = run.over_time(name), other.over_time(name)
        _, i, j = np.intersect1d(t, s, return_indices=True)
        squares = [np.square(one[a] - two[b]).mean() for a, b in zip(i, j, strict=True)]
        gaps.append(np.sqrt(max(squares, default=np.nan)))
    return pd.Series(gaps, index=pairs.index, dtype=float)
