"""A sweep on the terminal: kernel change over √h·α × h, outcomes, and the laws that it shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from feature_lazy.core.terminal import console
from feature_lazy.study import law
from feature_lazy.study.laws import CONTRASTS, laws, of_folder, source
from feature_lazy.study.missing import missing
from feature_lazy.study.table import H, X, over_seeds, parts
from feature_lazy.study.verdict import Reading, unmeasured

TITLE = "Laws"
WIDE = 120
"""Characters of a terminal in which most laws stand on one line."""


def grid(table: pd.DataFrame) -> Table:
    """Mean kernel change and test error over seeds: a row for each √h·α, two columns for each width."""
    seeds = table["seed"].nunique()
    result = Table(title=f"Mean over {seeds} seed{'s' if seeds > 1 else ''}: kernel change, test error")
    result.add_column("√h·α", justify="right")
    heights = sorted(table[H].unique())
    for h in heights:
        result.add_column(f"h = {h}", justify="right")
        result.add_column("error", justify="right", style="dim")
    change = over_seeds(table, "kernel_change").set_index([H, X])["mean"]
    error = over_seeds(table, "test/error").set_index([H, X])["mean"]
    for x in sorted(table[X].unique()):
        cells = [f"{x:g}"]
        for h in heights:
            cells.append(f"{change[h, x]:.3g}" if (h, x) in change.index else "–")
            cells.append(f"{error[h, x]:.1%}" if (h, x) in error.index else "–")
        result.add_row(*cells)
    return result


def law_table(found: Sequence[Reading], title: str = TITLE, *, narrow: bool = False) -> Table:
    """Each law that was measured: expected, measured value with its 95 % error bar, and whether they agree.

    Args:
        found: laws.
        title: of the table.
        narrow: leave out where in the article a law stands, and on what part of the sweep it was measured.
    """
    caption = (
        f"Figures and equations are those of arXiv:{law.ARTICLE} unless another paper is named.\n"
        "±: 95 % over seeds; one law in twenty differs by chance."
    )
    result = Table(title=title, caption=caption)
    for column in ("law", *(() if narrow else ("where",)), "expected", "measured", "verdict"):
        result.add_column(column)
    for row in (row for row in found if row.estimate is not None):
        result.add_row(row.name, *(() if narrow else (source(row),)), row.expected, row.measured, row.verdict)
    return result


def show_laws(folder: Path, named: Sequence[str] = ()) -> None:
    """Print the laws of every kind of run in a folder, those across depths and P, and of what the kinds differ in.

    Args:
        folder: results folder.
        named: import paths of laws of the user's own.

    Raises:
        StoreError: no complete run, or a damaged one.
        ConfigError: a named law that cannot be imported, or is none.
    """
    for path in named:
        law.add(path)
    show_readings(of_folder(parts(folder, mixed=("L", "P"))))


def show_readings(found: Mapping[str, Sequence[Reading]]) -> None:
    """Print a table for each kind of runs, and what they lack."""
    out = console()
    for name, own in found.items():
        if any(row.estimate is not None for row in own):
            _print_laws(out, own, name or TITLE)
    _print_needs(out, [row for name, own in found.items() if name != CONTRASTS for row in own])


def show(table: pd.DataFrame) -> None:
    """Print the sweep, and what it lacks."""
    out = console()
    out.print(grid(table))
    found = laws(table)
    _print_laws(out, found, TITLE)
    _print_needs(out, found)
    outcomes = table["outcome"].value_counts()
    for sentence in missing(table):
        out.print(sentence)
    out.print("Outcomes: " + ", ".join(f"{count} {name}" for name, count in outcomes.items()))


def _print_laws(out: Console, found: Sequence[Reading], title: str) -> None:
    out.print(law_table(found, title, narrow=out.width < WIDE))


def _print_needs(out: Console, found: Sequence[Reading]) -> None:
    for sentence in (*unmeasured(found), *law.failed()):
        out.print(sentence, highlight=False, style="dim")
