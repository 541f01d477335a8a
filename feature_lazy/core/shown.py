"""What notebooks show of an object: small tables in HTML, which hold no secret and nothing that would run."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

from feature_lazy.core.redaction import clean

MOST = 10
"""Rows that are shown; of more, the first half and the last."""
LONGEST = 60
"""Letters of one entry."""


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table of at most ``MOST`` rows, with its caption above it.

    Args:
        caption: what it is.
        head: names of the columns.
        rows: an entry for each column; of more than ``MOST`` those in the middle are left out.
    """
    half = MOST // 2
    left_out = len(rows) - MOST
    shown = [*rows] if left_out <= 0 else [*rows[:half], [f"… {left_out} more", *[""] * (len(head) - 1)], *rows[-half:]]
    lines = [_row("th", head), *(_row("td", row) for row in shown)]
    return f"<p>{_text(caption, 1000)}</p>\n<table>\n" + "\n".join(lines) + "\n</table>"


def short(value: Any) -> str:
    """A value in a few letters: numbers in four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def span(values: Iterable[Any]) -> str:
    """The values that a column has: all of a few, else the first and the last, and how many."""
    found = [short(value) for value in dict.fromkeys(values)]
    return ", ".join(found) if len(found) <= 4 else f"{found[0]} … {found[-1]} ({len(found)} values)"


def _row(tag: str, entries: Sequence[Any]) -> str:
    return "<tr>" + "".join(f"<{tag}>{_text(short(entry), LONGEST)}</{tag}>" for entry in entries) + "</tr>"


def _text(text: str, most: int) -> str:
    cut = text if len(text) <= most else f"{text[: most - 1]}…"
    return html.escape(clean(cut))
