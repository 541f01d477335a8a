"""Compare two results folders: the keys in which they differ, and each observable, paired over h, √h·α and seed."""

import argparse
from pathlib import Path

from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.selection import where_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("first", metavar="A", help="results folder")
    parser.add_argument("second", metavar="B", help="another one")
    where_argument(parser)


def call(options: argparse.Namespace) -> int:
    """Print what differs.

    Raises:
        StoreError: no complete run, folders that mix runs, or none that both have.
    """
    from feature_lazy.study.compared import keys_that_differ, observables

    folders = Path(options.first), Path(options.second)
    for name, (one, other) in keys_that_differ(*folders, options.where).items():
        say(f"{name}: {one} | {other}")
    say(f"A − B, mean over h, √h·α and seeds, ± 95 %; * where 0 is left out. A: {folders[0]}, B: {folders[1]}")
    found = observables(*folders, options.where)
    width = max(map(len, found))
    for name, one in found.items():
        value, error = one.difference.value, one.difference.error
        mark = "*" if one.difference.told else " "
        say(f"{name.ljust(width)}  {value:+.4g} ± {error:.2g} {mark} {one.cells} pairs")
    return 0
