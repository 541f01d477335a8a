"""Write the complete runs as one tidy table: a row for each run, with its columns and final scalars.

The ending of the file decides the format: .parquet or .csv. With --histories the file has a row for each observation
of each run.
"""

import argparse
from contextlib import suppress
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.terminal import say
from feature_lazy.launch.commands.selection import folder_argument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    folder_argument(parser)
    parser.add_argument("file", metavar="FILE", help="where to write, such as runs.parquet or runs.csv")
    parser.add_argument("--histories", action="store_true", help="a row for each observation, not for each run")


def call(options: argparse.Namespace) -> int:
    """Write the table.

    Raises:
        StoreError: another ending, or a file that cannot be written.
    """
    from feature_lazy.runs.sweep import load_sweep

    path = Path(options.file)
    if path.suffix not in (".parquet", ".csv"):
        raise StoreError(f"{path}: the name must end in .parquet or .csv.")
    sweep = load_sweep(options.folder)
    table = sweep.histories() if options.histories else sweep.table
    temporary = path.with_name(f".{path.name}.partial")
    try:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False)
        else:
            table.to_parquet(temporary, index=False)
        temporary.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    say(f"{len(table)} rows and {len(table.columns)} columns in {path}")
    return 0
