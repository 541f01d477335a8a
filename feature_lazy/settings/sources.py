"""Where a custom target's code lies, and a hash of it; nothing is imported, so nothing of it runs.

A run is known by its science, and a user's network is part of it: the hash goes into the run id.
"""

import ast
import hashlib
import importlib
import sys
from collections.abc import Iterator
from importlib.machinery import BuiltinImporter, ModuleSpec, PathFinder
from pathlib import Path

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.objects import PYTHON, handed

FOREIGN = ("site-packages", "dist-packages")
"""Folders of installed packages: a module that lies alone in one has no siblings of its own."""

NOT_THEIRS = sys.stdlib_module_names | {"feature_lazy", "torch"}
"""What no user has written: this package, and PyTorch, whose version every manifest has."""


def source_hash(target: str) -> str:
    """SHA-256 over the source of a target's module and of what it imports of the same origin.

    Of the same origin are the modules of the target's top-level package; of a module that belongs to no package, those
    that lie beside it in its folder, except this package, which has a version of its own. Imports are read from the
    syntax tree, also those inside functions. What is imported by a computed name, and other packages, do not count.

    Args:
        target: import path such as ``package.module.Name``.

    Raises:
        ConfigError: there is no such module, or it has no source in Python.
    """
    if target.startswith(PYTHON):
        return target.rpartition(":")[2]
    module = module_of(target)
    digest = hashlib.sha256()
    for name, path in sorted(_reachable(module).items()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def source_files(target: str) -> dict[str, Path]:
    """What a target needs to run elsewhere: its path below a folder on Python's path → file.

    Of a package all that is written in Python, so that what it imports by a computed name is there too; of a module
    without package itself and what it imports from its folder. A target may be a module itself.

    Raises:
        ConfigError: there is no such module, or it has no source in Python.
    """
    if target.startswith(PYTHON):
        raise ConfigError(
            f"{target}: it was handed over by Python, and another process has no object of this one; write it in a "
            "module and name that by its import path."
        )
    module = target if file_of(target) else module_of(target)
    home = _home(module)
    if set(FOREIGN) & set(home.parts):
        return {}  # installed, and so wherever this environment is
    top = _find(module.split(".")[0])
    if top is not None and top.submodule_search_locations:
        return {str(path.relative_to(home.parent)): path for path in sorted(home.rglob("*.py"))}
    return {str(path.relative_to(home)): path for path in _reachable(module).values()}


def module_of(target: str) -> str:
    """The module in which a target lies: the longest part of its path that is one.

    Raises:
        ConfigError: no part is, nothing is left to name what the module holds, or the module's source does not have it.
    """
    parts = target.split(".")
    found = max((n for n in range(1, len(parts) + 1) if _find(".".join(parts[:n]))), default=0)
    module, rest = ".".join(parts[:found]), parts[found:]
    if not found:
        raise ConfigError(
            f"there is no module {parts[0]!r} on Python's path: write package.module.Name, and set PYTHONPATH to the "
            f"folder that holds the package.{here(parts[0])}"
        )
    path = file_of(module)
    if path is None:
        raise ConfigError(f"module {module!r} has no source in Python: a target must be written in it.")
    if not rest:
        raise ConfigError(f"{target!r} is a module; name what it holds, such as {target}.Net.")
    # PyTorch binds some names when it is imported, which runs nothing of a user's.
    if rest[0] not in _names(path) and not (parts[0] == "torch" and hasattr(importlib.import_module(module), rest[0])):
        raise ConfigError(f"module {module!r} ({path.name}) has no {rest[0]!r}.")
    return module


def here(module: str) -> str:
    """A hint where the current folder holds a module that Python's path does not."""
    top = module.split(".")[0]
    there = next((name for name in (f"{top}.py", f"{top}/") if Path(name).exists()), None)
    return f" {there} is in the current folder: begin the command with PYTHONPATH=. to use it." if there else ""


def file_of(module: str) -> Path | None:
    """The Python file of a module; None if there is none."""
    spec = _find(module)
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _names(path: Path) -> set[str]:
    """Names that a module's source binds anywhere."""
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.split(".")[0])
    return names


def _find(module: str) -> ModuleSpec | None:
    """The spec of a module, found level by level: ``importlib.util.find_spec`` would import its parents."""
    path, spec = None, None
    for depth in range(1, module.count(".") + 2):
        name = ".".join(module.split(".")[:depth])
        # Which modules are part of the interpreter itself differs between its builds.
        spec = PathFinder.find_spec(name, path) or (BuiltinImporter.find_spec(name) if depth == 1 else None)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


def _reachable(module: str) -> dict[str, Path]:
    """A module, the packages that it lies in, and what they import of the same origin: name → file."""
    home = _home(module)
    found: dict[str, Path] = {}
    waiting = list(_with_parents(module))
    while waiting:
        name = waiting.pop()
        if name in found or name.split(".")[0] in NOT_THEIRS:
            continue
        path = file_of(name)
        # An environment may lie in the very folder that a module without package lies in.
        if path is None or not path.is_relative_to(home) or set(FOREIGN) & set(path.relative_to(home).parts):
            continue
        found[name] = path
        for imported in _imports(name, path):
            waiting += _with_parents(imported)
    return found


def _home(module: str) -> Path:
    """The folder of a module's top-level package; of a module without package its folder, or itself if installed."""
    top = module.split(".")[0]
    spec = _find(top)
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    path = file_of(module)
    assert path is not None  # ``module_of`` has found it
    return path if set(FOREIGN) & set(path.parts) else path.parent


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts) + 1))


def _imports(module: str, path: Path) -> Iterator[str]:
    """Full names of what a module imports; ``from a import b`` gives ``a`` and ``a.b``, which may be no module."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (start, *(f"{start}.{alias.name}" for alias in node.names))


def _tree(path: Path) -> ast.Module:
    """The syntax tree of a source file.

    Raises:
        ConfigError: it is no Python.
    """
    try:
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise ConfigError(f"{path.name}, line {error.lineno}: {error.msg}.") from error


def custom_problems(path: str, target: str) -> Iterator[str]:
    """What is wrong with the import path of the user's own code at ``path.target``."""
    if not target:
        yield f"{path}.target: a target of your own is needed, such as {path}.target=mypackage.Name."
        return
    yield from target_problems(f"{path}.target", target)


def target_problems(key: str, target: str) -> Iterator[str]:
    """What is wrong with an import path of the user's own code, by the key that has it."""
    try:
        if target.startswith(PYTHON):
            handed(key, target)
        else:
            module_of(target)
    except ConfigError as error:
        yield str(error) if target.startswith(PYTHON) else f"{key}={target}: {error}"
