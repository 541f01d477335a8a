"""How a configuration key is declared: default, meaning and range in one place."""

from dataclasses import field
from typing import Any


def option(
    default: Any,
    doc: str,
    *,
    gt: float | None = None,
    ge: float | None = None,
    choices: tuple[str, ...] | None = None,
    science: bool = True,
    later: bool = False,
) -> Any:
    """Declare a configuration key.

    Args:
        default: its default, or a list or dictionary for one.
        doc: what it means, for ``--help`` and the documentation.
        gt: values must be greater than this.
        ge: values must be at least this.
        choices: the allowed words.
        science: whether the value can change what is computed.
        later: a key of science that is part of a run's identity only where it differs from its default, so that runs
            from before there was the key keep their ids.
    """
    metadata = {"doc": doc, "gt": gt, "ge": ge, "choices": choices, "science": science, "later": later}
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def kind(name: str) -> Any:
    """Declare which member of a family of options a dataclass is; it is chosen with ``group=name`` and never set."""
    return field(default=name, metadata={"doc": "the option itself", "choices": (name,), "science": True})
