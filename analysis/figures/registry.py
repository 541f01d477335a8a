"""The article's figures and tables by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from analysis.figures.dynamics import fig5, fig9, fig10, fig11, fig12
from analysis.figures.kernels import fig8
from analysis.figures.performance import fig3, fig4, fig6
from analysis.figures.setup import fig1, fig2
from analysis.figures.source import Source, open_runs
from analysis.figures.tables import table1, table2
from analysis.figures.variants import fig7, fig13, fig14, fig15, fig16
from feature_lazy.core.errors import ConfigError, StoreError
from feature_lazy.study.figures.sheet import PICTURES, Sheet
from feature_lazy.study.figures.style import PANELS
from feature_lazy.study.laws import CONTRASTS, of_folder
from feature_lazy.study.verdict import Reading

ARTICLE: dict[str, Callable[[Source], Sheet]] = {
    function.__name__: function
    for function in (
        *(fig1, fig2, fig3, fig4, fig5, fig6, fig7, fig8, fig9, fig10, fig11, fig12, fig13, fig14, fig15, fig16),
        *(table1, table2),
    )
}
"""Name → the function that draws it; the first line of its docstring is what the article says."""
NEEDS_NO_RUN = ("fig2",)
AHEAD, KERNEL, WEIGHTS = "test error, feature less lazy", "kernel change, ", "weight change, "
SHOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "fig1": ("The regimes are separated by α* ~ 1/√h.", ("kernel change = 1", "α* against h")),
    "fig2": ("The soft hinge is the hinge with its corner rounded.", ()),
    "fig3": (
        "Rescaled test error collapses against √h·α; the lazy regime is ahead.",
        ("α* against h", "collapse of test error, rescaled", AHEAD),
    ),
    "fig4": (
        "Var F ~ 1/h in both regimes; the mean of an ensemble hardly depends on h.",
        ("variance against h", "single error less error of the mean"),
    ),
    "fig5": (
        "Kernel change: exponent −1 in the lazy regime, −1.3 to −1.6 in the feature regime; t₁ ~ √h·α in the feature "
        "regime, constant in the lazy one.",
        (KERNEL, "kernel change against h", "half-loss time", "collapse of kernel", "collapse of half-loss time"),
    ),
    "fig6": ("MNIST and CIFAR10: the lazy regime is ahead, by gradient flow and by Adam.", (AHEAD,)),
    "fig7": (
        "The feature regime is ahead on 10 components of MNIST (a), the lazy one on images with fully connected "
        "networks (c, d).",
        (AHEAD,),
    ),
    "fig8": (
        "The kernel of the trained network, frozen, reaches the network's test error; the initial kernel does not.",
        ("test/error: kernel of the end",),
    ),
    "fig9": (
        "√h‖w − w₀‖/‖w₀‖: exponent −1 in the lazy regime, −0.23 in the feature regime.",
        (WEIGHTS, "collapse of √h × weight change"),
    ),
    "fig10": (
        "The output grows linearly in t until it takes off before t₁.",
        ("output growth, early exponent of t", "output at t½", "1 − t/t½ at which the output is √h"),
    ),
    "fig11": ("‖ż‖ ~ 1/(α√h) at t = 0, in every layer.", ("√hα × preactivation speed",)),
    "fig12": ("ReLU: a third regime of exponent −1/2 between −1.7 and −1.", (KERNEL,)),
    "fig13": (
        "A hundred times finer bound on the gradient's change moves the outputs by little.",
        ("test/error: ε_∇",),
    ),
    "fig14": (
        "In the lazy regime Var F grows with P at fixed h.",
        ("variance against P, lazy", "variance against h, lazy"),
    ),
    "fig15": ("Removing f₀ matters at large α only.", ("test/error: f₀ removed",)),
    "fig16": ("Biases are negligible.", ("test/error: bias",)),
    "table1": (
        "The lazy regime is ahead with fully connected networks, the feature regime on 10 components of MNIST and with "
        "a CNN on CIFAR10.",
        (AHEAD,),
    ),
    "table2": (
        "Exponents near 2L/(L + 1) and 1/(L + 1) in the feature regime, 1 in the lazy one.",
        (KERNEL, WEIGHTS, "a(L) against 2L/(L+1)", "b(L) against 1/(L+1)"),
    ),
}
"""Figure → what the article says of it, and the beginnings of the names of the laws that it shows."""


def described() -> Iterator[tuple[str, str]]:
    """Every figure with what it shows."""
    for name, function in ARTICLE.items():
        yield name, (function.__doc__ or "").splitlines()[0]


def draw_article(
    name: str, folders: Sequence[Path], output: Path | None = None, formats: Sequence[str] = PICTURES
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
        StoreError: a folder without a complete run, or a damaged one; runs that show nothing of the figure; no format
            that can be written here.
    """
    if name not in ARTICLE:
        raise ConfigError(f"{name}: there is no such figure; there are {', '.join(ARTICLE)}.")
    if not folders and not (name in NEEDS_NO_RUN and output):
        raise ConfigError(f"{name}: name a results folder, such as results/article/{name}.")
    with plt.rc_context(PANELS):
        sheet = fig2() if name in NEEDS_NO_RUN else ARTICLE[name](open_runs(folders))
        if not len(sheet.data()):
            where = ", ".join(map(str, folders))
            raise StoreError(
                " ".join([f"{name}: no run in {where} shows any of it, so nothing is drawn.", *sheet.notes])
            )
        below = None if output else folders[0]
        written, left_out = sheet.save(output or folders[0] / "figures", (*formats, "csv"), below=below)
    if len(left_out) == len(formats):
        raise StoreError(f"{name} is drawn in none of the formats that were asked for. {' '.join(left_out)}")
    return written, [*sheet.notes, *left_out]


def readings(name: str, tables: Mapping[str, pd.DataFrame]) -> list[Reading]:
    """The laws that a figure shows, of each kind of runs, as they are judged everywhere.

    Args:
        name: of the figure.
        tables: kinds of runs by name, of ``feature_lazy.study.table.kinds``.
    """
    _, laws = SHOWN[name]
    found = of_folder(tables) if laws else {}
    return [
        replace(row, name=f"{row.name}; {kind}" if kind not in ("", CONTRASTS) else row.name)
        for kind, rows in found.items()
        for row in rows
        if row.name.startswith(laws)
    ]
