"""The command ``feature-lazy``: training from anywhere, and all that is done with the files of a results folder.

A command is a module here, or in another package of ``HOMES``, with a docstring (its help), ``arguments(parser)`` and
``call(options)``, which returns the exit status; with ``PASSED_ON`` its arguments go to ``call`` as they are. Modules
import what is heavy inside ``call``, so that ``--help`` is quick.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Any, NoReturn

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.core.terminal import said, say
from feature_lazy.core.words import any_terminal

HOMES = (__name__, "feature_lazy.systems.commands")
"""Packages of commands, by name: what is dispatched may stand in a room above."""


def modules() -> dict[str, ModuleType]:
    """Every command by its name, in alphabetical order: the modules in ``HOMES`` that have a ``call``."""
    found = {
        info.name.replace("_", "-"): importlib.import_module(f"{home}.{info.name}")
        for home in HOMES
        for info in pkgutil.iter_modules(importlib.import_module(home).__path__)
    }
    return {name: module for name, module in sorted(found.items()) if hasattr(module, "call")}


class Parser(argparse.ArgumentParser):
    """A parser that says what it refuses as every error is said."""

    def error(self, message: str) -> NoReturn:
        """See ``ArgumentParser.error``."""
        self.print_usage(sys.stderr)
        say(f"{self.prog}: error: {message}", error=True)
        sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    result = Parser(prog="feature-lazy", description="Train networks, look at their runs, and look after them.")
    result.add_argument("--version", action="version", version=f"feature_lazy {version('feature_lazy')}")
    subparsers = result.add_subparsers(required=True, metavar="COMMAND")
    for name, module in modules().items():
        add(subparsers, name, module)
    return result


def add(subparsers: Any, name: str, module: ModuleType) -> None:
    """Declare one command: its help is the module's docstring."""
    text = (module.__doc__ or "").strip()
    sub = subparsers.add_parser(name, help=text.splitlines()[0].rstrip("."), description=text)
    module.arguments(sub)
    sub.set_defaults(call=module.call)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status; an error that the user can mend is one sentence."""
    any_terminal()
    given = [*(sys.argv[1:] if arguments is None else arguments)]  # ``list`` is a command here
    if given and getattr(modules().get(given[0]), "PASSED_ON", False):
        return modules()[given[0]].call(argparse.Namespace(overrides=given[1:]))
    options = parser().parse_args(given)
    return said(_called(options))


def _called(options: argparse.Namespace) -> int:
    try:
        return options.call(options)
    except BrokenPipeError:
        return 1  # who read it has enough, as in ``| head``
    except FeatureLazyError as error:
        say(error, error=True)
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{error.strerror or error}. Nothing is known to be damaged; repeat the command.", error=True)
        return 1
    except KeyboardInterrupt:
        say("Stopped. What is done is stored; repeat the command to continue.", error=True)
        return 130
