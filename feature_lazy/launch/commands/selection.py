"""Which runs a command means: by state and by column."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.matching import matches
from feature_lazy.runs.survey import Entry, RunState, Survey


class SelectionError(FeatureLazyError):
    """A filter that cannot be read."""


def folder_argument(parser: argparse.ArgumentParser) -> None:
    """The results folder that a command is about."""
    parser.add_argument("folder", metavar="DIR", help="results folder, such as results/demo")


def data_argument(parser: argparse.ArgumentParser) -> None:
    """Where the data of runs lie, which a command would have to open: never where a results folder says."""
    parser.add_argument(
        "--data", type=Path, metavar="PATH", help="your file or folder of data, of runs with dataset=file or folder"
    )


def selection_arguments(parser: argparse.ArgumentParser, states: Sequence[RunState]) -> None:
    """Filters by state, with a default, and by column."""
    names = ",".join(states)
    everything = ", ".join(RunState)
    parser.add_argument(
        "--state",
        default=names,
        metavar="STATES",
        help=f"comma-separated, of {everything} (default: {names or 'none'})",
    )
    where_argument(parser)


def where_argument(parser: argparse.ArgumentParser) -> None:
    """A filter by column."""
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUES",
        help="only runs with one of the values, such as h=100 or seed=0,1; may be repeated",
    )


def states(text: str) -> tuple[RunState, ...]:
    """The states that a comma-separated list names.

    Raises:
        SelectionError: one that does not exist.
    """
    try:
        return tuple(RunState(name.strip()) for name in text.split(",") if name.strip())
    except ValueError as error:
        raise SelectionError(f"--state {text}: {error}; the states are {', '.join(RunState)}.") from error


def select(survey: Survey, chosen: str, where: Sequence[str]) -> list[Entry]:
    """The runs of a survey in the chosen states that pass all filters.

    Raises:
        SelectionError: a filter that cannot be read, or names a column or a value that no run has.
    """
    entries = survey.having(*states(chosen))
    for rule in where:
        column, equals, values = rule.partition("=")
        if not equals:
            raise SelectionError(f"--where {rule}: write COLUMN=VALUES, such as h=100 or seed=0,1.")
        known = {name for entry in survey.entries for name in entry.columns}
        if column not in known:
            raise SelectionError(
                f"--where {rule}: no run has the column {column!r}; there are {', '.join(sorted(known))}."
            )
        wanted = [value.strip() for value in values.split(",")]
        kept = {e.run_id for e in survey.entries if any(matches(e.columns.get(column), value) for value in wanted)}
        if not kept:
            there = ", ".join(map(str, list(dict.fromkeys(entry.columns.get(column) for entry in survey.entries))[:12]))
            raise SelectionError(f"--where {rule}: no run has it; there are {column} = {there}.")
        entries = [entry for entry in entries if entry.run_id in kept]
    return entries
