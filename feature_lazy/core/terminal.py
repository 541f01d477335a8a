"""The one door to a terminal: what is said there holds no secret, and nothing that would command the terminal.

Text may come from a stranger's folder, or from an error that quotes one. So nobody else prints: a test of structure
holds that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from feature_lazy.core.redaction import clean

if TYPE_CHECKING:
    from rich.console import Console


def say(*words: object, error: bool = False) -> None:
    """Print a line, as ``print`` does.

    Args:
        words: what to say; joined by spaces.
        error: whether it goes to standard error.
    """
    print(clean(" ".join(map(str, words))), file=sys.stderr if error else sys.stdout)


def console(*, stderr: bool = False) -> Console:
    """A console of rich for tables, bars and live displays; what looks like its markup is shown as it is."""
    import rich.console
    from rich.segment import Segment

    class Clean(rich.console.Console):
        def render_str(self, text: str, *arguments: Any, **options: Any) -> Any:
            """Text before it is wrapped, where a secret is still in one piece."""
            return super().render_str(clean(text), *arguments, **options)

        def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
            for segment in super().render(*arguments, **options):
                yield segment if segment.control else Segment(clean(segment.text), segment.style)

    return Clean(stderr=stderr, markup=False, emoji=False)
