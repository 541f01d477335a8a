"""What a sweep says in four sentences: feature training, the boundary, lazy training, and which tests better."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from feature_lazy.core.words import counted
from feature_lazy.study.ahead import FEATURE, LAZY, Lead
from feature_lazy.study.change_laws import BOUNDARY
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.phases import bests, boundaries, rows
from feature_lazy.study.verdict import AGREES, CANNOT_TELL, DIFFERS, Reading

Rows = Sequence[dict[str, Any]]


def verdicts(table: pd.DataFrame, laws: Sequence[Reading]) -> list[tuple[str, str, str]]:
    """Kind, title and sentence for the feature regime, the boundary, the lazy regime and the test error.

    Args:
        table: complete runs of one kind.
        laws: those of the table.
    """
    cells = rows(table) if len(table) else []
    if all(row["kernel"] is None for row in cells):
        return []
    return [
        (FEATURE, "Feature training", _regime(cells, FEATURE, laws)),
        ("boundary", "Boundary", _boundary(boundaries(table), laws)),
        (LAZY, "Lazy training", _regime(cells, LAZY, laws)),
        ("best", "Which tests better", _better(bests(table))),
    ]


def _regime(cells: Rows, regime: str, laws: Sequence[Reading]) -> str:
    here = [row for row in cells if row["regime"] == regime]
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
    return f"{counted(runs, 'run')} at {side}: the kernel changes {change}{law}.{error}"


def _boundary(found: Mapping[int, Estimate], laws: Sequence[Reading]) -> str:
    if not found:
        return "No width has its kernel change fall through 1, so the boundary lies outside this sweep."
    each = ", ".join(f"{_number(estimate)} (h = {h:g})" for h, estimate in found.items())
    if len(found) == 1:
        return f"The kernel change is 1 at √h·α = {each}; one width cannot say how that depends on h."
    factor = max(found) / min(found)
    fixed = f"where one at a fixed α would move by a factor {np.sqrt(factor):.3g}"
    law = next((law for law in laws if law.name == BOUNDARY and law.estimate), None)
    exponent = f" (α* ~ h^s with s = {law.measured})" if law else ""
    said = {
        AGREES: f"It stays there over a factor {factor:.3g} in h{exponent}, {fixed}.",
        DIFFERS: f"It moves over a factor {factor:.3g} in h{exponent}.",
        CANNOT_TELL: f"Whether it stays there over a factor {factor:.3g} in h cannot be told{exponent}, {fixed}.",
    }
    return f"The kernel change is 1 at √h·α = {each}. {said[law.verdict if law else CANNOT_TELL]}"


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


def _number(estimate: Estimate) -> str:
    """Three digits; with an error, up to the first digit of that."""
    return " ± ".join(filter(None, estimate.rounded()))


def _percent(value: float, sem: float | None, sign: str = "") -> str:
    """A fraction in per cent, with more digits if its error is small."""
    known = sem is not None and np.isfinite(sem)
    digits = 2 if known and sem < 5e-4 else 1
    return f"{100 * value:{sign}.{digits}f}{f' ± {100 * sem:.{digits}f}' if known else ''} %"
