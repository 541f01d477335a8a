"""Compare two results folders: the keys in which they differ, and each observable, paired over h, √h·α and seed.

The difference is A − B: of each seed the mean over the cells of h and √h·α that all seeds have in both folders; of
these the mean ± 95 % over seeds. One seed has no error, and no star.
"""

import argparse
import textwrap
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
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
    from feature_lazy.study.compared import keys_that_differ, not_done, observables, read_side, without_partner

    folders = Path(options.first), Path(options.second)
    sides = [read_side(folder, options.where) for folder in folders]
    _say(f"A: {folders[0]}")
    _say(f"B: {folders[1]}")
    for name, (one, other) in keys_that_differ(*sides).items():
        _say(f"{name}: {one} | {other}")
    if not (found := observables(*sides)):
        raise StoreError(
            f"{folders[0]} and {folders[1]} have no runs of the same h, √h·α and seed, which could be compared."
        )
    for sentence in filter(None, (without_partner(*sides), not_done(*folders, options.where))):
        _say(sentence)
    _say(
        "A − B: of each seed the mean over the cells of h and √h·α that all seeds have; of these the mean ± 95 % over "
        "seeds. *: 0 is left out."
    )
    rows = [
        (name, *one.difference.rounded(2), "*" if one.difference.told else " ", counted(one.cells, "pair"))
        for name, one in found.items()
        if not one.same
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, value, error, mark, pairs in rows:
        bar = f"± {error.ljust(widths[2])}" if error else " " * (widths[2] + 2)
        say(f"{name.ljust(widths[0])}  {value.rjust(widths[1])} {bar} {mark} {pairs}")
    if same := [name for name, one in found.items() if one.same]:
        _say(f"The same in both: {', '.join(same)}.")
    return 0


def _say(text: str) -> None:
    say(textwrap.fill(text, 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
