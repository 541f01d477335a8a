"""Table and figures of a results folder."""

from collections.abc import Sequence
from pathlib import Path

from feature_lazy.core.terminal import say
from feature_lazy.core.words import counted
from feature_lazy.study.figures import draw
from feature_lazy.study.infinite_width import stored_test_error
from feature_lazy.study.table import LIMIT, read
from feature_lazy.study.terminal import show


def summarise(
    folder: Path,
    *,
    output: Path | None = None,
    formats: Sequence[str] = ("png",),
    width: float | None = None,
    where: Sequence[str] = (),
    data: Path | None = None,
    everything: bool = False,
) -> list[Path]:
    """Print what a sweep says and its table, draw its figures, and say where they are.

    Args:
        folder: results folder.
        output: folder of the figures; ``folder/figures`` if omitted.
        formats: of the figures; ``csv``: what is drawn in them.
        width: of the figures, in inches.
        where: rules that runs pass, such as ``L=3``.
        data: where the files of their data lie, of runs that have any.
        everything: print the laws too that cannot be told.

    Raises:
        StoreError: no complete run, a damaged one, runs that one figure cannot show together, or a file that cannot be
            written.
    """
    table = read(folder, where=where)
    table[LIMIT] = stored_test_error(folder, table["run"].iloc[0].config, data=data)
    show(table, everything=everything)
    to = output or folder / "figures"
    written, left_out = draw(table, to, formats, width, below=None if output else folder)
    for sentence in left_out:
        say(sentence)
    say(f"{counted(len(written), 'file')} in {to}: {', '.join(path.name for path in written)}")
    return written
