"""Tables as CSV without a cell that a spreadsheet would take for a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""How a text begins that a spreadsheet computes, or runs."""


def inert(value: Any) -> Any:
    """A cell as it is, but for texts that begin like a formula: those get an apostrophe, as spreadsheets write it."""
    if not (isinstance(value, str) and value.lstrip(" ").startswith(FORMULA)):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def csv_of(table: pd.DataFrame, digits: int | None = None) -> bytes:
    """A table as CSV, without its index.

    Args:
        table: what is written.
        digits: most of a number, so that 0.46 is not 0.45999999999999996; None: all that it takes to read it back.
    """
    texts = table.select_dtypes(exclude="number").columns
    safe = table.assign(**{name: table[name].map(inert) for name in texts}) if len(texts) else table
    return (
        safe.set_axis([inert(name) for name in safe.columns], axis=1)
        .to_csv(index=False, float_format=f"%.{digits}g" if digits else None)
        .encode(errors="replace")
    )
