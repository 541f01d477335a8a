"""Table and figures of a results folder."""

import shlex
from pathlib import Path

from feature_lazy.core.terminal import say
from feature_lazy.study.figures import draw
from feature_lazy.study.infinite_width import stored_test_error
from feature_lazy.study.table import LIMIT, read
from feature_lazy.study.terminal import show


def summarise(folder: Path) -> list[Path]:
    """Print the table of a sweep, draw its figures under ``folder/figures``, and say where they are.

    Raises:
        StoreError: no complete run, a damaged one, or runs that one figure cannot show together.
    """
    table = read(folder)
    table[LIMIT] = stored_test_error(folder, table["run"].iloc[0].config)
    show(table)
    written = draw(table, folder / "figures")
    say(f"{len(written)} figures in {folder / 'figures'}: {', '.join(path.name for path in written)}")
    say(f"Everything in one HTML file: feature-lazy report {shlex.quote(str(folder))}")
    return written
