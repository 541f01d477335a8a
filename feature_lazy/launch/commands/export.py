"""Write the complete runs as one tidy table: a row for each run, with its columns and final scalars.

The ending of the file decides the format: .parquet or .csv. With --histories the file has a row for each observation
of each run. With --delay 0.1 there are also t_fit and t_generalise, the first times at which the training and the test
loss fall to a tenth of the best constant's, and delay = ln(t_generalise/t_fit), which of a run that has not generalised
is delay_at_least alone; --delay-on error takes the threshold on the errors.
"""

import argparse
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import write_atomically
from feature_lazy.core.tables import csv_of
from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.launch.commands.selection import folder_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("file", metavar="FILE", help="where to write, such as runs.parquet or runs.csv")
    parser.add_argument("--histories", action="store_true", help="a row for each observation, not for each run")
    parser.add_argument(
        "--delay", type=float, metavar="THRESHOLD", help="with the delay between fit and generalisation"
    )
    parser.add_argument("--delay-on", choices=("loss", "error"), default="loss", help="(default: loss)")


def call(options: argparse.Namespace) -> int:
    """Write the table.

    Raises:
        StoreError: another ending, a file that cannot be written, or a delay that these runs do not have.
    """
    from feature_lazy.runs.sweep import load_sweep
    from feature_lazy.study.delay import with_delay

    path = Path(options.file)
    if path.suffix not in (".parquet", ".csv"):
        raise StoreError(f"{path}: the name must end in .parquet or .csv.")
    sweep = load_sweep(options.folder)
    table = sweep.histories() if options.histories else sweep.table
    if options.delay is not None and not options.histories:
        table = with_delay(table.assign(run=list(sweep.runs)), options.delay, options.delay_on).drop(columns="run")
    try:
        data = csv_of(table) if path.suffix == ".csv" else table.to_parquet(None, index=False)
        write_atomically(path, data, below=None)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}).") from error
    except (ValueError, TypeError) as error:  # of Parquet, whose columns have one type each
        raise StoreError(f"{path} cannot hold these runs ({error}); write a .csv.") from error
    say(f"{counted(len(table), 'row')} and {counted(len(table.columns), 'column')} in {path}")
    return 0
