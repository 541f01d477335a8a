"""How a configuration key is declared: default, meaning and range in one place."""

from collections.abc import Sequence
from dataclasses import MISSING, Field, field
from typing import Any


def key(
    default: Any,
    doc: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    choices: Sequence[str] | None = None,
    science: bool = True,
    later: bool = False,
    unordered: bool = False,
    at_most: str = "",
) -> Any:
    """A configuration key: a field of an option, or of a dataclass within one.

    Args:
        default: its default; of a list, a dictionary or a dataclass each configuration gets a copy of its own.
        doc: what it means, for ``--help``, the files under ``conf/`` and the documentation.
        gt: values must be greater than this.
        ge: values must be at least this.
        choices: the allowed words.
        science: whether the value can change what is computed; what is only recorded, or says how, where and how long,
            is no part of a run's identity.
        later: a key of science that is part of a run's identity only where it differs from its default, so that runs
            from before there was the key keep their ids.
        at_most: the key that bounds it: one beside it, or the path of another, such as ``dataset.n_test``. A default
            above it becomes what that key is (``settings.fitting``); what a person wrote is refused.
        unordered: the order of the values in a list means nothing: an identity has them sorted.
    """
    metadata = {
        "doc": doc,
        "gt": gt,
        "ge": ge,
        "choices": tuple(choices) if choices is not None else None,
        "science": science,
        "later": later,
        "unordered": unordered,
        "at_most": at_most,
    }
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def part(made: type, doc: str = "", *, science: bool = True, later: bool = False) -> Any:
    """Keys of an option that stand in a dataclass of their own, such as ``observe.kernel``.

    Args:
        made: the dataclass; its defaults are the part's.
        doc: what it is about, if its docstring does not say it.
        science: as for a key.
        later: as for a key.
    """
    return field(default_factory=made, metadata={"part": True, "about": doc, "science": science, "later": later})


def default(f: "Field[Any]") -> Any:
    """The default of a key; of a list, a dictionary or a dataclass a copy of its own."""
    return f.default if f.default_factory is MISSING else f.default_factory()
