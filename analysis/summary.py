"""Table and figures of a results folder."""

import shlex
from pathlib import Path

from analysis.figures import draw
from analysis.sweep import LIMIT, read
from analysis.table import show
from feature_lazy.study.infinite_width import stored_test_error


def summarise(folder: Path) -> list[Path]:
    """Print the table of a sweep, draw its figures under ``folder/figures``, and say where they are.

    Raises:
        StoreError: no complete run, a damaged one, or runs that one figure cannot show together.
    """
    table = read(folder)
    table[LIMIT] = stored_test_error(folder, table["run"].iloc[0].config)
    show(table)
    written = draw(table, folder / "figures")
    print(f"{len(written)} figures in {folder / 'figures'}: {', '.join(path.name for path in written)}")
    print(f"All of it in one HTML file: python -m analysis report {shlex.quote(str(folder))}")
    return written
