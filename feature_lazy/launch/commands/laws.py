"""Print the laws that a sweep shows: expected, measured ± error and verdict, of every kind of run."""

import argparse
from pathlib import Path

from feature_lazy.launch.commands.selection import folder_argument, where_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    law_argument(parser)
    where_argument(parser)


def law_argument(parser: argparse.ArgumentParser) -> None:
    """Laws of the user's own."""
    parser.add_argument(
        "--law",
        action="append",
        default=[],
        metavar="PATH",
        help="import path of a law of your own, such as pkg.module.function; may be repeated",
    )


def call(options: argparse.Namespace) -> int:
    """Print; 1 where the code of a law failed.

    Raises:
        StoreError: see ``show_laws``.
        ConfigError: a law that cannot be imported, or is none.
    """
    from feature_lazy.study.terminal import show_laws

    return 0 if show_laws(Path(options.folder), options.law, options.where) else 1
