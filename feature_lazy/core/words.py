"""Words of sentences, and terminals that do not know their letters."""

import sys
from collections.abc import Iterable
from io import TextIOWrapper


def any_terminal() -> None:
    """Let every terminal, pipe and log be written to: what its encoding does not know is escaped.

    Python does so for errors alone; of the output of a process in a C locale, a √ would end it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def meant(name: str, known: Iterable[object], most: int = 3) -> str:
    """A question after the names that are near one that is not known, to end a sentence with; empty if none is near."""
    import difflib  # is needed for mistakes alone

    near = difflib.get_close_matches(name, sorted({str(one) for one in known}), n=most)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as ``1 run``, ``2 runs`` and ``2 processes``."""
    return f"{number} {noun}" + ("" if number == 1 else "es" if noun.endswith("s") else "s")


def percent(share: float) -> str:
    """A share such as 0.125 for people: ``12.5 %``."""
    return f"{100 * share:.1f} %"
