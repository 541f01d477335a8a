"""Objects that Python hands over in place of import paths: known by their source and by what they close over.

``own(function)`` returns a path that stands for it, in this process alone: ``activation.target=`` and all other targets
take it. Its hash is part of the path, and so of the identity of runs; a run can not be repeated from its folder.
"""

import builtins
import hashlib
import importlib
import inspect
import sys
import textwrap
import types
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from feature_lazy.core.errors import ConfigError

PYTHON = "python:"
"""How a path begins that stands for an object of this process."""
KNOWN = sys.stdlib_module_names | {"torch", "numpy", "scipy", "feature_lazy"}
"""Packages whose functions are known by their names: their versions are in every manifest."""

_handed: dict[str, Any] = {}


def own(made: Any) -> str:
    """A path that stands for a function or class of this session wherever a configuration takes an import path.

    Raises:
        ConfigError: an object whose source, or what it uses, cannot be known.
    """
    name = getattr(made, "__name__", type(made).__name__).strip("<>")
    path = f"{PYTHON}{name}:{hashlib.sha256(_known(made, name, ())).hexdigest()}"
    _handed[path] = made
    return path


def handed(key: str, path: str) -> Any:
    """The object that a path of ``own`` stands for.

    Raises:
        ConfigError: it was handed over in another process.
    """
    if path not in _handed:
        raise ConfigError(
            f"{key}={path}: it was handed over by Python in another process, and is not repeatable from the folder; "
            "hand it over again, or write it in a module and name that by its import path."
        )
    return _handed[path]


def _known(value: Any, name: str, seen: tuple[int, ...]) -> bytes:
    """Bytes that tell a value apart from every other.

    Raises:
        ConfigError: they cannot be told.
    """
    if id(value) in seen:
        return b"itself"
    seen = (*seen, id(value))
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return f"{type(value).__name__} {value!r}".encode()
    if isinstance(value, tuple | list | set | frozenset):
        parts = [_known(one, name, seen) for one in value]
        return b"(" + b",".join(sorted(parts) if isinstance(value, set | frozenset) else parts) + b")"
    if isinstance(value, Mapping):
        return b"{" + b",".join(_known(one, name, seen) for pair in value.items() for one in pair) + b"}"
    if isinstance(value, types.ModuleType):
        return _module(value, name)
    if isinstance(value, partial):
        return b"partial" + b",".join(_known(one, name, seen) for one in (value.func, value.args, value.keywords))
    if hasattr(value, "__array__") and hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value)
    if path := _by_name(value):
        return path.encode()
    if isinstance(value, types.FunctionType | type):
        return _source(value, name) + b"".join(_used(value, name, seen))
    raise ConfigError(
        f"{name}: it uses an object of {type(value).__name__}, which cannot be known by its source; write it in a "
        "module and name that by its import path, or use numbers, arrays and functions alone."
    )


def _module(value: types.ModuleType, name: str) -> bytes:
    if value.__name__.split(".")[0] in KNOWN:
        return f"module {value.__name__}".encode()
    raise ConfigError(
        f"{name}: it uses the module {value.__name__}; what it holds cannot be known from here: import the functions "
        "themselves, or name yours by its import path."
    )


def _array(value: Any) -> bytes:
    import numpy as np

    array = np.ascontiguousarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return f"{array.dtype.str} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}".encode()


def _by_name(value: Any) -> str:
    """The path of a function or class of a known package; empty of all others."""
    module, names = (
        getattr(value, "__module__", None),
        [getattr(value, one, "") for one in ("__qualname__", "__name__")],
    )
    for home in [module] if isinstance(module, str) else ["torch", "numpy"]:
        if home.split(".")[0] in KNOWN - {"__main__"}:
            for name in filter(None, names):
                found: Any = importlib.import_module(home)
                for part in name.split("."):
                    found = getattr(found, part, None)
                if found is value:
                    return f"{home}.{name}"
    return ""


def _source(value: Any, name: str) -> bytes:
    try:
        return textwrap.dedent(inspect.getsource(value)).strip().encode()
    except (OSError, TypeError) as error:
        raise ConfigError(
            f"{name}: its source cannot be read, and a run is known by it; write it in a cell of a notebook or in a "
            "module, not by exec."
        ) from error


def _used(value: Any, name: str, seen: tuple[int, ...]) -> Iterator[bytes]:
    """What a function, or the methods and bases of a class, use from outside: defaults, closures and globals."""
    if isinstance(value, type):
        for base in value.__bases__:
            yield _known(base, name, seen)
        for part in vars(value).values():
            made = getattr(part, "__func__", getattr(part, "fget", part))
            if isinstance(made, types.FunctionType):
                yield from _used(made, name, seen)
        return
    yield _known((value.__defaults__, value.__kwdefaults__), name, seen)
    for free, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        yield free.encode() + _known(cell.cell_contents, f"{name}: {free}", seen)
    for used in sorted(_names(value.__code__)):
        if used in value.__globals__:
            yield used.encode() + _known(value.__globals__[used], f"{name}: {used}", seen)
        elif not hasattr(builtins, used):
            continue  # an attribute


def _names(code: types.CodeType) -> set[str]:
    inner = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))
