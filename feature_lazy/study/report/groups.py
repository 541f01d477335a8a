"""A results folder as groups of runs that belong in one figure: the same in all but α, width and seed."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.runs.reading import Run
from feature_lazy.runs.survey import Entry, RunState, Survey
from feature_lazy.runs.sweep import KEYS, Sweep
from feature_lazy.study.following import followed
from feature_lazy.study.table import H, X, with_runs

CELL = ("h", "alpha", "sqrt_h_alpha", "seed")
"""Columns in which the runs of one group differ."""
FREE = ("alpha.", "width.h", "seed.", "observe.")
"""Beginnings of the configuration's keys in which they may."""


@dataclass(frozen=True)
class Group:
    """Runs that one figure can show.

    Attributes:
        differs: the keys, with their values, that tell this group from the others; empty if there is one group.
        entries: its runs, as they stand.
        table: those that are complete and whole, as ``feature_lazy.study.table.read`` gives them.
        problems: a sentence for each run whose files are damaged.
    """

    differs: dict[str, Any]
    entries: list[Entry]
    table: pd.DataFrame
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a person chooses it by."""
        return ", ".join(f"{key} = {value}" for key, value in self.differs.items())


def group(found: Survey) -> list[Group]:
    """The runs of a folder by group, the largest first; runs without a manifest are in none."""
    science = {name for entry in found.entries if entry.run for name, _ in _leaves(entry.run.config)}
    parts: dict[str, tuple[dict[str, str], list[Entry]]] = {}
    known = [entry for entry in found.entries if entry.columns]
    for entry, config in zip(known, followed([_config(entry) for entry in known]), strict=True):
        same = _same(entry, config, science)
        parts.setdefault(json.dumps(same, sort_keys=True), (same, []))[1].append(entry)
    ordered = sorted(parts.values(), key=lambda part: -len(part[1]))
    identities = [same for same, _ in ordered]
    names = dict.fromkeys(name for identity in identities for name in identity)
    apart = [name for name in names if len({str(identity.get(name)) for identity in identities}) > 1]
    # What a column says in one word, the keys of the configuration would say again.
    columns = [name for name in apart if "." not in name]
    shown = columns if len({tuple(str(i.get(name)) for name in columns) for i in identities}) == len(parts) else apart
    return [
        Group({name: identity.get(name) for name in shown}, entries, *_table(found.root, entries))
        for identity, (_, entries) in zip(identities, ordered, strict=True)
    ]


def _config(entry: Entry) -> dict[str, Any]:
    return entry.run.config if entry.run else entry.job.config if entry.job else {}


def _same(entry: Entry, config: dict[str, Any], science: set[str]) -> dict[str, str]:
    """What all runs of a group have in common: columns, and the scientific keys of the configuration."""
    leaves = {name: value for name, value in _leaves(config) if name in science and not name.startswith(FREE)}
    columns = {name: value for name, value in entry.columns.items() if name not in CELL}
    return {name: _written(value) for name, value in {**columns, **leaves}.items()}


def _leaves(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a configuration; top-level keys that are no groups included."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield (f"{prefix}{name}", value)


def _table(root: Path, entries: Sequence[Entry]) -> tuple[pd.DataFrame, list[str]]:
    """Complete runs, each read in full here, so that a damaged file is named and costs no other run."""
    runs: list[Run] = []
    problems = []
    for entry in entries:
        if entry.state is not RunState.DONE or entry.run is None or not {H, X, "alpha", "seed"} <= entry.columns.keys():
            continue
        try:
            _ = entry.run.history, entry.run.outputs
        except StoreError as error:
            problems.append(str(error))
        else:
            runs.append(entry.run)
    runs.sort(key=lambda run: tuple(run.columns.get(key, 0) for key in KEYS))
    table = with_runs(Sweep(root, runs))
    for name in ("kernel_change", "test/error"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table, problems


def constants(entries: Sequence[Entry]) -> dict[str, str]:
    """Columns with one value in a group, and that value."""
    first = entries[0].columns
    return {name: _written(value) for name, value in first.items() if name not in CELL}


def values(entries: Sequence[Entry], column: str) -> list[float]:
    """The values of a numeric column, sorted."""
    found = {entry.columns.get(column) for entry in entries}
    return sorted(value for value in found if isinstance(value, int | float))


def duplicates(table: pd.DataFrame) -> int:
    """Runs that have h, √h·α and seed in common with another one."""
    return sum(count for count in Counter(zip(table[H], table[X], table["seed"], strict=True)).values() if count > 1)


def _written(value: object) -> str:
    """A value as a person reads it; 1 and 1.0 are the same."""
    return f"{value:.15g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
