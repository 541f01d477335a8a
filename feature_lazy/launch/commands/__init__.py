"""The command ``feature-lazy``: everything but training, from the files of a results folder alone.

A command is a module here with a docstring (its help), ``arguments(parser)`` and ``call(options)``, which returns the
exit status. Modules import what is heavy inside ``call``, so that ``--help`` is quick.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence

from feature_lazy.core.errors import FeatureLazyError

COMMANDS: tuple[str, ...] = (
    "status",
    "retry",
    "cancel",
    "clean",
    "export",
    "verify",
    "sync",
    "data",
    "regime",
    "coord-check",
)
"""Names of the commands, in the order of the help."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    result = argparse.ArgumentParser(prog="feature-lazy", description="Look after runs of feature_lazy.")
    subparsers = result.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = importlib.import_module(f"feature_lazy.launch.commands.{name.replace('-', '_')}")
        text = (module.__doc__ or "").strip()
        sub = subparsers.add_parser(name, help=text.splitlines()[0].rstrip("."), description=text)
        module.arguments(sub)
        sub.set_defaults(call=module.call)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status; an error that the user can mend is one sentence."""
    options = parser().parse_args(arguments)
    try:
        return options.call(options)
    except FeatureLazyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What is done is stored; repeat the command to continue.", file=sys.stderr)
        return 130
