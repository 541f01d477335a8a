"""What a group of runs cannot show yet, and why, in sentences."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from feature_lazy.core.words import counted
from feature_lazy.runs.survey import RunState
from feature_lazy.study.missing import missing as lacks
from feature_lazy.study.report.curves import Columns
from feature_lazy.study.report.groups import Group, duplicates


def missing(group: Group, rows: Sequence[dict[str, Any]], columns: Columns) -> list[str]:
    """What this group cannot show, and why: a sentence each."""
    table, total = group.table, len(group.entries)
    if not len(table):
        counts = Counter(str(entry.state) for entry in group.entries)
        states = ", ".join(f"{n} {state}" for state, n in counts.items())
        return [f"No run is complete yet ({states}), so there is nothing to draw: below is how the runs stand."]
    said = list(group.problems)
    if len(table) < total:
        gap = sum(row["done"] == 0 for row in rows)
        empty = f"; {gap} cells of the phase diagram are still empty" if gap else ""
        said.append(f"{total - len(table)} of {total} runs are not complete: the figures show the others{empty}.")
    if len({row["done"] for row in rows if row["done"]}) > 1:
        said.append("Not every cell has as many seeds as the others; error bars are of those that it has.")
    said += lacks(table)
    if n := duplicates(table):
        said.append(f"{counted(n, 'run')} with h, √h·α and seed of another one: further members of their cells.")
    if columns.thinned:
        said.append(
            f"Of each history {columns.limit} observations are kept, even in log t; all are in the stored runs."
        )
    return said


def unfit(group: Group) -> str | None:
    """A sentence on complete runs that ended without fitting their patterns."""
    done = Counter(entry.note for entry in group.entries if entry.state is RunState.DONE)
    other = {note: n for note, n in done.items() if note not in ("converged", "stationary", "t_end")}
    return ", ".join(f"{n} ended with {note}" for note, n in other.items()) or None
