"""The article's figures and tables by name."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from analysis.figures.dynamics import fig5, fig9, fig10, fig11, fig12
from analysis.figures.kernels import fig8
from analysis.figures.performance import fig3, fig4, fig6
from analysis.figures.setup import fig1, fig2
from analysis.figures.sheet import FORMATS, Sheet
from analysis.figures.source import Source, open_runs
from analysis.figures.style import PANELS
from analysis.figures.tables import table1, table2
from analysis.figures.variants import fig7, fig13, fig14, fig15, fig16
from feature_lazy.core.errors import ConfigError

ARTICLE: dict[str, Callable[[Source], Sheet]] = {
    function.__name__: function
    for function in (
        *(fig1, fig2, fig3, fig4, fig5, fig6, fig7, fig8, fig9, fig10, fig11, fig12, fig13, fig14, fig15, fig16),
        *(table1, table2),
    )
}
"""Name → the function that draws it; the first line of its docstring is what the article says."""
NEEDS_NO_RUN = ("fig2",)


def described() -> Iterator[tuple[str, str]]:
    """Every figure with what it shows."""
    for name, function in ARTICLE.items():
        yield name, (function.__doc__ or "").splitlines()[0]


def draw_article(
    name: str, folders: Sequence[Path], output: Path | None = None, formats: Sequence[str] = FORMATS
) -> tuple[list[Path], list[str]]:
    """Draw one figure of the article, with its data as CSV beside it.

    Args:
        name: of the figure.
        folders: results folders; some figures have parts in several.
        output: folder to write to; ``figures`` in the first results folder if omitted.
        formats: of the picture.

    Returns:
        The files, and a sentence for all that is missing: runs, parts of the figure, formats.

    Raises:
        ConfigError: there is no such figure, or it needs a folder.
        StoreError: a folder without a complete run, or a damaged one.
    """
    if name not in ARTICLE:
        raise ConfigError(f"{name}: there is no such figure; there are {', '.join(ARTICLE)}.")
    if not folders and not (name in NEEDS_NO_RUN and output):
        raise ConfigError(f"{name}: name a results folder, such as results/article/{name}.")
    with plt.rc_context(PANELS):
        sheet = fig2() if name in NEEDS_NO_RUN else ARTICLE[name](open_runs(folders))
        written, left_out = sheet.save(output or folders[0] / "figures", formats)
    return written, [*sheet.notes, *left_out]
