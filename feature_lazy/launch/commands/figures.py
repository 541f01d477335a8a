"""Show what a sweep says and its table, and draw its figures into DIR/figures."""

import argparse
import shlex
from pathlib import Path

from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.selection import data_argument, folder_argument, where_argument

FORMATS = ("pdf", "png", "pgf", "csv")
"""As ``study.figures.sheet`` has them, which is not imported for ``--help``."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("--output", type=Path, help="folder to write to; default: DIR/figures")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=("png",), help="default: png")
    parser.add_argument("--width", metavar="LENGTH", help="of the figures, such as 3.4in or 8.6cm")
    where_argument(parser)
    data_argument(parser)
    parser.add_argument("--all", action="store_true", help="show the laws too that cannot be told")


def call(options: argparse.Namespace) -> int:
    """Show and draw.

    Raises:
        StoreError: see ``summarise``.
    """
    from feature_lazy.study.figures.style import inches
    from feature_lazy.study.summary import summarise

    folder = Path(options.folder)
    written = summarise(
        folder,
        output=options.output,
        formats=tuple(dict.fromkeys(options.formats)),
        width=inches(options.width) if options.width else None,
        where=options.where,
        data=options.data,
        everything=options.all,
    )
    say(f"Everything in one HTML file: feature-lazy report {shlex.quote(str(folder))}")
    return 0 if written else 1
