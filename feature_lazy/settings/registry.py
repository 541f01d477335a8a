"""Options of the configuration groups: declared once, where their code is, and found by name.

An option file is a module with a line that begins with ``@option(``. ``discover`` imports those of this package, which
do not import PyTorch, and the modules that installed packages name under the entry point ``feature_lazy.options``.
"""

import dataclasses
import importlib
import inspect
import re
import sys
import threading
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.words import meant
from feature_lazy.settings.plugins import load_plugins
from feature_lazy.settings.sources import here

ENTRY_POINT = "feature_lazy.options"
"""Group of entry points: each names a module that declares options."""

HOME = "feature_lazy"
DECLARES = re.compile(rb"^@option\(", re.MULTILINE)

T = TypeVar("T", bound=type)

_options: dict[str, dict[str, type]] = {}
_presets: dict[str, dict[str, "Preset"]] = {}
_failed: dict[str, str] = {}
_discovered = False
_discovering = threading.RLock()


@typing.dataclass_transform()
def option(group: str, name: str) -> Callable[[T], T]:
    """A class decorator: the class is the option ``name`` of a configuration group, and a dataclass of its keys.

    Args:
        group: such as ``loss``.
        name: what is written on the command line, and stands in a run's identity as ``kind``.

    Raises:
        ConfigError: another option of the group has the name; both modules are named.
        TypeError: a method that the group's base asks for is missing.
    """

    def declare(cls: T) -> T:
        cls.__annotations__ = {**inspect.get_annotations(cls), "kind": str}
        hint = "; choose the option itself on the command line"
        meta = {"doc": "the option itself", "choices": (name,), "hint": hint, "science": True}
        cls.kind = dataclasses.field(default=name, kw_only=True, metadata=meta)  # type: ignore[attr-defined]
        made = dataclasses.dataclass(cls)
        # Under "from __future__ import annotations" types are strings, and identities depend on them.
        hints = typing.get_type_hints(made)
        for field in dataclasses.fields(made):
            field.type = hints[field.name]
        made.option_name = name  # type: ignore[attr-defined]
        _register(group, name, made)
        return typing.cast(T, made)

    return declare


@dataclasses.dataclass(frozen=True)
class Preset:
    """Another name of an option, with some of its keys set; its runs are the option's.

    Attributes:
        of: name of the option.
        doc: what it is.
        values: keys that it sets.
        foreign: whether it comes from outside this package.
    """

    of: str
    doc: str
    values: Mapping[str, Any]
    foreign: bool


def preset(group: str, name: str, *, of: str, doc: str, **values: Any) -> None:
    """Declare another name of an option, with some of its keys set."""
    home = sys._getframe(1).f_globals.get("__name__", "")
    _presets.setdefault(group, {})[name] = Preset(of, doc, values, foreign=home.split(".")[0] != HOME)


def presets(group: str) -> Mapping[str, Preset]:
    """The presets of a group by name."""
    discover()
    return _presets.get(group, {})


def _register(group: str, name: str, made: type) -> None:
    missing = sorted(getattr(made, "__abstractmethods__", ()))
    if missing:
        raise TypeError(f"{group}={name} ({made.__module__}.{made.__qualname__}) lacks {', '.join(missing)}.")
    known = _options.setdefault(group, {})
    other = known.get(name)
    if other is not None and (other.__module__, other.__qualname__) != (made.__module__, made.__qualname__):
        raise ConfigError(
            f"{group}={name} is declared twice: in {other.__module__} and in {made.__module__}. Rename one of them."
        )
    known[name] = made


def discover(modules: Iterable[str] = ()) -> None:
    """Import every option file: those of this package, of installed packages, and the modules that are named.

    A module of an installed package that fails to import is remembered, and named when one of its options may have been
    asked for.

    Args:
        modules: import paths of modules that declare options of the user's own.

    Raises:
        ConfigError: a named module that cannot be imported, or that declares no option.
    """
    global _discovered
    with _discovering:  # another thread must not see half of the options
        if not _discovered:
            _discovered = True  # first: an option file may ask for another option while it is imported
            try:
                for module in own_modules():
                    importlib.import_module(module)
            except BaseException:
                _discovered = False
                raise
            _failed.update(load_plugins(ENTRY_POINT))
    for module in modules:
        _import(module)


def own_modules(declares: re.Pattern[bytes] = DECLARES) -> list[str]:
    """Files of this package that declare something as import paths, lower rooms first where one imports another."""
    package = importlib.import_module(HOME)
    found = []
    for folder in package.__path__:
        for path in sorted(Path(folder).rglob("*.py")):
            if declares.search(path.read_bytes()):
                parts = path.relative_to(folder).with_suffix("").parts
                found.append(".".join([HOME, *(parts[:-1] if parts[-1] == "__init__" else parts)]))
    return found


def _import(module: str) -> None:
    """Import a module that a user names.

    Raises:
        ConfigError: it cannot be imported, or declares no option.
    """
    try:
        importlib.import_module(module)
    except Exception as error:
        raise ConfigError(
            f"options=[{module}]: the module cannot be imported ({type(error).__name__}: {error}). It must be on "
            f"Python's path: set PYTHONPATH to the folder that holds it.{here(module)}"
        ) from error
    made = {cls.__module__ for known in _options.values() for cls in known.values()}
    if not any(name.split(".")[0] == module.split(".")[0] for name in made):
        raise ConfigError(f"options=[{module}]: the module declares no option; see docs/extend.")


def groups() -> list[str]:
    """Names of the groups that have options."""
    discover()
    return list(_options)


def options(group: str) -> Mapping[str, type]:
    """The options of a group by name, in the order in which they were declared."""
    discover()
    return _options.get(group, {})


def find(group: str, name: str) -> type:
    """The option of a group by its name.

    Raises:
        ConfigError: there is no such option; the message has those that there are, and which modules of installed
            packages could not be imported.
    """
    known = options(group)
    if name not in known:
        raise ConfigError(f"{group}={name}: {absent(group, name)}")
    return known[name]


def failures() -> dict[str, str]:
    """Modules of installed packages that could not be imported, each with the reason."""
    discover()
    return dict(_failed)


def absent(group: str, name: str) -> str:
    """Why an option is not there, and what is."""
    known = [*options(group), *presets(group)]
    failed = "".join(f" The plug-in {plugin} could not be imported: {why}." for plugin, why in _failed.items())
    return f"there is no such option; choose one of {', '.join(known)}.{meant(name, known, 1)}{failed}"


def of_kind(group: str, kind: Any) -> type | None:
    """The option whose identity says ``kind``, as a stored configuration does; None if this version has none."""
    return next((cls for cls in options(group).values() if getattr(cls, "kind", None) == kind), None)


def is_foreign(cls: type) -> bool:
    """Whether an option comes from outside this package."""
    return cls.__module__.split(".")[0] != HOME
