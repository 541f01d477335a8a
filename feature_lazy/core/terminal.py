"""The one door to a terminal: what is said there holds no secret, and nothing that would command the terminal.

Text may come from a stranger's folder, or from an error that quotes one. So nobody else prints: a test of structure
holds that.

Sentences are broken at the terminal's width, between words: what is quoted, and a command, stays whole, so that it can
be copied. Pipes and logs get lines as they are: who reads those looks for a sentence, or has a width of its own.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from feature_lazy.core.redaction import RedactingFormatter, clean

if TYPE_CHECKING:
    from rich.console import Console

PROGRAMS = ("feature-lazy", "python", "pip", "wandb", "scontrol", "sacctmgr")
"""First words of commands."""
WORD = re.compile(r"""(?:(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*"|`[^`\n]*`|[^ \n])+""")
"""A word: what stands between spaces, where those within quotes are its own."""


def say(*words: object, error: bool = False) -> None:
    """Print a line, as ``print`` does.

    Args:
        words: what to say; joined by spaces.
        error: whether it goes to standard error, where it is a sentence and is broken into lines.
    """
    text = clean(" ".join(map(str, words)))
    print(_as_wide_as(sys.stderr, text) if error else text, file=sys.stderr if error else sys.stdout)


class SentenceFormatter(RedactingFormatter):
    """What a handler that writes to standard output has in place of a ``RedactingFormatter``: tracebacks stay whole."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``Formatter.format``."""
        text = super().format(record)
        return text if record.exc_info else _as_wide_as(sys.stdout, text)


def _as_wide_as(stream: TextIO | None, text: str) -> str:
    if stream is None or not stream.isatty():
        return text
    width = 0
    if "COLUMNS" not in os.environ:
        with suppress(OSError):
            width = os.get_terminal_size(stream.fileno()).columns
    return wrapped(text, width or shutil.get_terminal_size().columns)  # COLUMNS, else 80


def wrapped(text: str, width: int) -> str:
    """A text with its lines broken between words, behind the line's own indentation."""
    return "\n".join(row for line in text.split("\n") for row in _rows(line, width))


def _rows(line: str, width: int) -> Iterator[str]:
    begin, cut, indent = 0, None, ""
    for gap in [*_gaps(line), (len(line), len(line))] if len(line) > width else []:
        if cut and len(indent) + gap[0] - begin > width:
            yield indent + line[begin : cut[0]]
            begin, indent = cut[1], line[: len(line) - len(line.lstrip())]
        cut = gap
    yield indent + line[begin:]


def _gaps(line: str) -> Iterator[tuple[int, int]]:
    """Where a line may be broken: ends of words, and beginnings of those after them; not within a command."""
    end, command = 0, False
    for word in WORD.finditer(line):
        if end and not command:
            yield end, word.start()
        end = word.end()
        command = (command or word[0] in PROGRAMS) and word[0][-1] not in ".,;:)"


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
