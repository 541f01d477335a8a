"""Rank networks by what is known early, and say how well that orders them as they end: Kendall's τ, with its error.

A network is what differs in more than its seed, its value the mean over its seeds; the error comes from resampling
networks. Columns are those of the table of runs; with --at they are taken along the training.
"""

import argparse

from feature_lazy.core.terminal import console
from feature_lazy.launch.commands.selection import folder_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("--by", nargs="+", required=True, metavar="COLUMN", help="such as kernel/lga")
    parser.add_argument(
        "--at", nargs="+", type=float, default=[], metavar="T", help="training times (default: the end)"
    )
    parser.add_argument("--against", default="test/error", metavar="COLUMN", help="at the end (default: test/error)")


def call(options: argparse.Namespace) -> int:
    """Print a row for each column and time.

    Raises:
        StoreError: a column that no run has, fewer networks than can be ranked, or no complete run.
    """
    from rich.table import Table

    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.ranking import rank_table
    from feature_lazy.study.table import with_runs

    found = rank_table(with_runs(load_sweep(options.folder)), options.by, options.against, options.at)
    table = Table(title=f"Kendall's τ with {options.against} at the end", caption="±: 95 % over networks.")
    for name in ("column", "t", "τ", "networks"):
        table.add_column(name, justify="left" if name == "column" else "right")
    for (column, t), one in found.items():
        table.add_row(column, "end" if t is None else f"{t:g}", str(one), str(one.seeds))
    console().print(table)
    return 0
