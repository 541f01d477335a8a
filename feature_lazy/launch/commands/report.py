"""Write the report of a sweep: one HTML file, for any browser, without a network."""

import argparse
from pathlib import Path

from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.laws import law_argument
from feature_lazy.launch.commands.selection import folder_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("--output", type=Path, help="the file to write; default: DIR/report.html")
    law_argument(parser)


def call(options: argparse.Namespace) -> int:
    """Write, and say where.

    Raises:
        StoreError: see ``write_report``.
        ConfigError: a law that cannot be imported, or is none.
    """
    from feature_lazy.study.report import write_report

    path = write_report(Path(options.folder), options.output, options.law)
    say(f"{path}: {path.stat().st_size / 1e6:.1f} MB, for any browser, without a network")
    return 0
