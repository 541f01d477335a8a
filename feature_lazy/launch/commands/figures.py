"""Show the table of a sweep, and draw its figures into DIR/figures."""

import argparse
from pathlib import Path

from feature_lazy.launch.commands.selection import folder_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)


def call(options: argparse.Namespace) -> int:
    """Show and draw.

    Raises:
        StoreError: see ``summarise``.
    """
    from feature_lazy.study.summary import summarise

    summarise(Path(options.folder))
    return 0
