"""Columns of a table by name, keys of its runs' configurations among them, and the runs that pass ``--where`` rules."""

from collections.abc import Sequence

import pandas as pd

from feature_lazy.core.errors import StoreError
from feature_lazy.core.matching import matches
from feature_lazy.core.words import meant
from feature_lazy.runs.sweep import as_written


def column(table: pd.DataFrame, name: str, asked: str) -> pd.Series:
    """A column of the table, or a key of the configuration of its runs.

    Raises:
        StoreError: no run has it.
    """
    if name in table and name != "run":
        return table[name]
    values = [run.setting(name) for run in table["run"]]
    if "." not in name or all(value is None for value in values):
        hint = meant(name, table)
        raise StoreError(f"{asked} {name}: no run has this column, nor this key of the configuration.{hint}")
    return pd.Series([str(v) if isinstance(v, list | dict) else v for v in values], table.index)


def filtered(table: pd.DataFrame, where: Sequence[str]) -> pd.DataFrame:
    """The rows that pass all rules.

    Raises:
        StoreError: a rule that cannot be read, a column that is not there, or nothing left.
    """
    for rule in where:
        name, equals, values = rule.partition("=")
        if not equals:
            raise StoreError(f"where {rule}: write COLUMN=VALUES, such as L=3 or seed=0,1.")
        found, wanted = column(table, name, "where"), [value.strip() for value in values.split(",")]
        kept = found.map(lambda one: any(matches(one, text) for text in wanted))  # noqa: B023 - used at once
        if not kept.any():
            there = ", ".join(map(str, list(dict.fromkeys(found))[:12]))
            hint = as_written(table["run"], name, wanted) if "run" in table else ""
            raise StoreError(f"where {rule}: no run has it; there are {name} = {there}.{hint}")
        table = table[kept]
    return table
