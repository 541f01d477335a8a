"""What a sweep says in sentences: a verdict for each regime, and what is missing for more."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from feature_lazy.runs.survey import RunState
from feature_lazy.study.ahead import FEATURE, LAZY, Lead
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.missing import missing as lacks
from feature_lazy.study.report.curves import Columns
from feature_lazy.study.report.groups import Group, duplicates
from feature_lazy.study.verdict import Reading

Rows = Sequence[dict[str, Any]]


def verdicts(
    rows: Rows, best: Mapping[float, Lead], boundary: Mapping[int, Estimate], laws: Sequence[Reading]
) -> list[tuple[str, str, str]]:
    """Kind, title and sentence for the feature regime, the boundary, the lazy regime and the test error."""
    if all(row["kernel"] is None for row in rows):
        return []
    return [
        (FEATURE, "Feature training", _regime(rows, FEATURE, laws)),
        ("boundary", "Boundary", _boundary(boundary)),
        (LAZY, "Lazy training", _regime(rows, LAZY, laws)),
        ("best", "Which tests better", _better(best)),
    ]


def _regime(rows: Rows, regime: str, laws: Sequence[Reading]) -> str:
    here = [row for row in rows if row["regime"] == regime]
    if not here:
        return f"No cell trained here: the kernel change is {'below' if regime == FEATURE else 'above'} 1 everywhere."
    xs = [row["x"] for row in here]
    kernels = [row["kernel"] for row in here]
    change = (
        f"by up to {max(kernels):.3g} times its size" if regime == FEATURE else f"by as little as {min(kernels):.2g}"
    )
    side = f"√h·α ≤ {max(xs):.3g}" if regime == FEATURE else f"√h·α ≥ {min(xs):.3g}"
    fitted = [law.measured for law in laws if law.name == f"kernel change, {regime} exponent"]
    law = f", with an exponent in √h·α of {fitted[0]}" if fitted and fitted[0].strip("-")[:1].isdigit() else ""
    runs = sum(row["done"] for row in here)
    tested = [row for row in here if row["error"] is not None]
    error = ""
    if tested:
        low = min(tested, key=lambda row: row["error"])
        error = (
            f" Lowest test error {_percent(low['error'], low['error_sem'])}, at h = {low['h']}, √h·α = {low['x']:.3g}."
        )
    return f"{runs} runs at {side}: the kernel changes {change}{law}.{error}"


def _boundary(found: Mapping[int, Estimate]) -> str:
    if not found:
        return "No width has its kernel change fall through 1, so the boundary lies outside this sweep."
    each = ", ".join(f"{_number(estimate)} (h = {h:g})" for h, estimate in found.items())
    if len(found) == 1:
        return f"The kernel change is 1 at √h·α = {each}; one width cannot say how that depends on h."
    x = np.array([estimate.value for estimate in found.values()])
    spread, factor = x.max() / x.min() - 1, max(found) / min(found)
    return (
        f"The kernel change is 1 at √h·α = {each}: within {spread:.0%} over a factor {factor:.3g} in h, "
        f"where a boundary at a fixed α would move by a factor {np.sqrt(factor):.3g}."
    )


def _better(best: Mapping[float, Lead]) -> str:
    if not best:
        return "No width trained in both regimes, or none was tested, so the two cannot be compared."
    if all(not np.isfinite(one.difference.error) for one in best.values()):
        return "There is one seed, so it cannot be told whether a difference between the regimes is chance."
    parts = []
    for winner in (FEATURE, LAZY, None):
        won = {h: one.difference for h, one in best.items() if one.winner == winner}
        if won:
            name = "neither by more than chance" if winner is None else f"{winner} training"
            each = ", ".join(f"{h:g} ({_percent(one.value, one.error, '+')})" for h, one in won.items())
            parts.append(f"{name} at h = {each}")
    text = "; ".join(parts)
    return (
        f"{text[0].upper()}{text[1:]}. In brackets: lowest mean test error of the feature regime minus that of "
        f"the lazy one, paired over seeds, ± 95 %."
    )


def missing(group: Group, rows: Rows, columns: Columns) -> list[str]:
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
        said.append(f"{n} runs share h, √h·α and seed with another one; they count as further members of their cells.")
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


def _number(estimate: Estimate) -> str:
    """Three digits; with an error, up to the first digit of that."""
    if not estimate.error > 0:
        return f"{estimate.value:.3g}"
    digits = max(0, int(np.ceil(-np.log10(estimate.error) - 1e-9)))
    return f"{estimate.value:.{digits}f} ± {estimate.error:.{digits}f}"


def _percent(value: float, sem: float | None, sign: str = "") -> str:
    """A fraction in per cent, with more digits if its error is small."""
    known = sem is not None and np.isfinite(sem)
    digits = 2 if known and sem < 5e-4 else 1
    return f"{100 * value:{sign}.{digits}f}{f' ± {100 * sem:.{digits}f}' if known else ''} %"
