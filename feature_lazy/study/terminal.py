"""A sweep on the terminal: what it says, kernel change over √h·α × h, outcomes, and the laws that it shows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from feature_lazy.core.terminal import console
from feature_lazy.core.words import counted
from feature_lazy.study import law
from feature_lazy.study.laws import CONTRASTS, laws, of_folder, source
from feature_lazy.study.missing import missing
from feature_lazy.study.sentences import verdicts
from feature_lazy.study.table import H, X, over_seeds, parts
from feature_lazy.study.verdict import CANNOT_TELL, Reading, unmeasured

TITLE = "Laws"
MOST_NEEDED = 2
"""Needs that are named of laws that cannot be told; --all shows all."""
WIDE = 120
"""Characters of a terminal in which most laws stand on one line."""
FIRST, EACH = 13, 20
"""Characters of the column of √h·α, and of the two of one h."""


def grids(table: pd.DataFrame, width: int) -> Iterator[Table]:
    """Mean kernel change and test error over seeds: a row for each √h·α, two columns for each h.

    Args:
        table: runs.
        width: characters in a line; where they do not hold all h, the others follow in further tables.
    """
    seeds, heights = table["seed"].nunique(), sorted(table[H].unique())
    change = over_seeds(table, "kernel_change").set_index([H, X])["mean"]
    error = over_seeds(table, "test/error").set_index([H, X])["mean"]
    most = max(1, (width - FIRST) // EACH)
    for some in (heights[first : first + most] for first in range(0, len(heights), most)):
        result = Table(title=f"Mean over {counted(seeds, 'seed')}: kernel change, test error")
        result.add_column("√h·α", justify="right")
        for h in some:
            result.add_column(f"h = {h}", justify="right")
            result.add_column("error", justify="right", style="dim")
        for x in sorted(table[X].unique()):
            cells = [f"{x:g}"]
            for h in some:
                cells.append(f"{change[h, x]:.3g}" if (h, x) in change.index else "–")
                cells.append(f"{error[h, x]:.1%}" if (h, x) in error.index else "–")
            result.add_row(*cells)
        yield result


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


def show_laws(folder: Path, named: Sequence[str] = (), where: Sequence[str] = ()) -> bool:
    """Print the laws of every kind of run in a folder, those across depths and P, and of what the kinds differ in.

    Args:
        folder: results folder.
        named: import paths of laws of the user's own.
        where: rules that runs pass, such as ``L=3``.

    Returns:
        Whether the code of no law failed.

    Raises:
        StoreError: no complete run, or a damaged one.
        ConfigError: a named law that cannot be imported, or is none.
    """
    for path in named:
        law.add(path)
    found = of_folder(parts(folder, mixed=("L", "P"), where=where))
    show_readings(found)
    return not any(row.failed for rows in found.values() for row in rows)


def show_readings(found: Mapping[str, Sequence[Reading]]) -> None:
    """Print a table for each kind of runs, and what they lack."""
    out = console()
    for name, own in found.items():
        if any(row.estimate is not None for row in own):
            _print_laws(out, own, name or TITLE)
    _print_needs(out, [row for name, own in found.items() if name != CONTRASTS for row in own])


def show(table: pd.DataFrame, *, everything: bool = False) -> None:
    """Print what a sweep says, its numbers, the laws that it decides, and what it lacks.

    Args:
        table: runs of one kind.
        everything: print the laws too that cannot be told.
    """
    out, found = console(), laws(table)
    for _, title, text in verdicts(table, found):
        out.print(f"{title}: {text}", highlight=False)
    for one in grids(table, out.width):
        out.print(one)
    shown = [row for row in found if everything or row.verdict != CANNOT_TELL]
    if any(row.estimate is not None for row in shown):
        _print_laws(out, shown, TITLE)
    if everything:
        _print_needs(out, found)
    elif open_ := undecided(found):
        out.print(open_, highlight=False, style="dim")
    outcomes = table["outcome"].value_counts()
    for sentence in missing(table):
        out.print(sentence)
    out.print("Outcomes: " + ", ".join(f"{count} {name}" for name, count in outcomes.items()))


def undecided(found: Sequence[Reading]) -> str:
    """One line on the laws that cannot be told, and what most of them need; empty if there are none."""
    needs = Counter(_need(row) for row in found if row.verdict == CANNOT_TELL)
    each = "; ".join(f"{n} {'need' if n > 1 else 'needs'} {need}" for need, n in needs.most_common(MOST_NEEDED))
    return f"{counted(needs.total(), 'law')} cannot be told (--all shows them): {each}." if needs else ""


def _need(row: Reading) -> str:
    if row.estimate is None:
        return row.measured.removeprefix("needs ")
    return "smaller error bars" if np.isfinite(row.estimate.error) else "more seeds"


def _print_laws(out: Console, found: Sequence[Reading], title: str) -> None:
    out.print(law_table(found, title, narrow=out.width < WIDE))


def _print_needs(out: Console, found: Sequence[Reading]) -> None:
    for sentence in (*unmeasured(found), *law.failed()):
        out.print(sentence, highlight=False, style="dim")
