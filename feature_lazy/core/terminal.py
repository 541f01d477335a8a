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


def said(status: int) -> int:
    """The exit status of a command when all that it has said has got out; who reads may be gone, or a disk full."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # else Python tries once more, and fails with words of its own
        if not isinstance(error, BrokenPipeError):
            say(f"Standard output cannot be written ({error.strerror}).", error=True)
        return status or 1
    return status


def console(*, stderr: bool = False) -> Console:
    """A console of rich for tables, bars and live displays; what looks like its markup is shown as it is."""
    import io

    import rich.console
    from rich.segment import Segment

    class Clean(rich.console.Console):
        def render_str(self, text: str, *arguments: Any, **options: Any) -> Any:
            """Text before it is wrapped, where a secret is still in one piece."""
            return super().render_str(clean(text), *arguments, **options)

        def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
            for segment in super().render(*arguments, **options):
                yield segment if segment.control else Segment(clean(segment.text), segment.style)

    closed = (sys.stderr if stderr else sys.stdout) is None
    return Clean(stderr=stderr, markup=False, emoji=False, file=io.StringIO() if closed else None)
