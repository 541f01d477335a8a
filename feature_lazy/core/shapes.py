"""What a value that was read from JSON must look like: checked once, at loading, so that no reader meets a surprise.

A checksum tells damage and not a forger, who can compute one too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

DEEPEST = 32
"""Levels of lists and objects in a value of any shape: readers of such values call themselves."""
LARGEST = 2**63
"""Integers are below, as those of tables are."""


class Shape(ABC):
    """A set of values."""

    @abstractmethod
    def misfit(self, value: Any, where: str = "it") -> str:
        """Where a value is not of this shape, and what it should be there; empty if it is.

        Args:
            value: of ``json.loads``.
            where: its name.
        """

    def __or__(self, other: Shape) -> Shape:
        """Values of either shape."""
        return Either(self, other)


@dataclass(frozen=True)
class Plain(Shape):
    """Values that are not made of others.

    Attributes:
        name: what they are, with an article.
        holds: whether a value is one.
    """

    name: str
    holds: Callable[[Any], bool]

    def misfit(self, value: Any, where: str = "it") -> str:
        return "" if self.holds(value) else f"{where} is not {self.name}"


@dataclass(frozen=True)
class Either(Shape):
    """Values of one of two shapes."""

    one: Shape
    other: Shape

    def misfit(self, value: Any, where: str = "it") -> str:
        return self.one.misfit(value, where) and self.other.misfit(value, where)


@dataclass(frozen=True)
class Items(Shape):
    """Lists of values of one shape."""

    each: Shape

    def misfit(self, value: Any, where: str = "it") -> str:
        if not isinstance(value, list):
            return f"{where} is not a list"
        return next((why for i, item in enumerate(value) if (why := self.each.misfit(item, f"{where}[{i}]"))), "")


@dataclass(frozen=True)
class Record(Shape):
    """Objects with keys of some shapes.

    Attributes:
        needed: keys that must be there.
        known: keys that may be.
        rest: values of all other keys; None: there are none.
    """

    needed: Mapping[str, Shape] = field(default_factory=dict)
    known: Mapping[str, Shape] = field(default_factory=dict)
    rest: Shape | None = None

    def misfit(self, value: Any, where: str = "it") -> str:
        if not isinstance(value, dict):
            return f"{where} is not an object"
        for name in self.needed:
            if name not in value:
                return f"{where} lacks {name}"
        for name, item in value.items():
            shape = self.needed.get(name) or self.known.get(name) or self.rest
            inner = name if where == "it" else f"{where}.{name}"
            if why := TEXT.misfit(name, "a key") or (f"{inner} is unknown" if shape is None else ""):
                return why
            if shape is not None and (why := shape.misfit(item, inner)):
                return why
        return ""


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return -LARGEST <= value < LARGEST
    return type(value) is float and abs(value) < float("inf")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_plain(value: Any, depth: int = DEEPEST) -> bool:
    if isinstance(value, list | dict):
        inner = value if isinstance(value, list) else [*value, *value.values()]
        return depth > 0 and all(_is_plain(item, depth - 1) for item in inner)
    return value is None or isinstance(value, bool) or _is_number(value) or _is_text(value)


NUMBER = Plain("a finite number below 2⁶³", _is_number)
WHOLE = Plain("a whole number below 2⁶³", lambda value: type(value) is int and _is_number(value))
TEXT = Plain("a text", _is_text)
FLAG = Plain("true or false", lambda value: isinstance(value, bool))
NOTHING = Plain("null", lambda value: value is None)
SCALAR = NUMBER | TEXT | FLAG | NOTHING
ANYTHING = Plain("a value of finite numbers and texts, less than 32 levels deep", _is_plain)
OBJECT = Record(rest=ANYTHING)
