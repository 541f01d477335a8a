"""Figs. 3, 4 and 6: test error and variance over α and h."""

import pandas as pd

from analysis.figures.panels import ALPHA, H, X, by_width, by_x, errors, rescaled_errors, variances
from analysis.figures.source import FLOWS, Source, flows, frozen, one_kind
from feature_lazy.settings.scales import CROSSOVER
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import SQRT_H_ALPHA, look
from feature_lazy.study.table import fitted

CIFAR = ("cifar10", "cifar10_colour", "mnist1d")
"""CIFAR10, and what stands for it at small size."""
FEW = 8
"""√h·α of a sweep against h; one with more is against α."""
MANY = 3
"""Widths from which on a line against h says something."""


def begin(
    name: str, titles: dict[str, str], source: Source, unfit: float = 0.0, **layout: float
) -> tuple[Sheet, pd.DataFrame]:
    """A sheet with the notes of the source, and its runs that fit their training set."""
    sheet = Sheet(name, titles, **layout)
    table, left_out = fitted(source.table, unfit)
    for sentence in [*source.notes, *left_out]:
        sheet.note(sentence)
    return sheet, table


def kind(sheet: Sheet, panel: str, table: pd.DataFrame, *vary: str) -> pd.DataFrame:
    """The runs of one kind, said below the figure if there are others."""
    chosen, sentences = one_kind(table, vary)
    for sentence in sentences:
        sheet.note(f"({panel}) {sentence}")
    return chosen


def fig3(source: Source) -> Sheet:
    """Test error: the cells of the sweep, against h, against α, and rescaled against √h·α, where widths collapse."""
    titles = {"a": "the sweep", "b": "against the width", "c": "against α", "d": "rescaled"}
    sheet, table = begin("fig3", titles, source)
    own = kind(sheet, "b–d", flows(table))
    _cells(sheet, "a", own)
    errors_against_width(sheet, "b", own, _lazy_kernel(table, own), "fig3b", ensembles=False)
    wide = over_alpha(own)
    if len(wide):
        errors(sheet, "c", by_width(wide), axis=ALPHA, ensembles=False)
        rescaled_errors(sheet, "d", wide)
    else:
        sheet.missing("cd", "No width has several √hα: experiment=article/fig3.")
    return sheet


def _cells(sheet: Sheet, panel: str, table: pd.DataFrame) -> None:
    """Where in the plane of h and α there are runs."""
    cells = table[[H, X, ALPHA]].drop_duplicates([H, X])
    sheet.line(panel, "trained", cells[H], cells[ALPHA], style={**look(0), "ls": "", "ms": 2})
    if len(cells):
        widths = sorted(cells[H])
        line = [CROSSOVER / h**0.5 for h in (widths[0], widths[-1])]
        sheet.axes[panel].plot([widths[0], widths[-1]], line, "k-", lw=1.2, label=rf"{SQRT_H_ALPHA} = {CROSSOVER:g}")
        sheet.decorate(panel, "$h$", r"$\alpha$")


def _lazy_kernel(table: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Runs under the initial kernel that are of the same data and network as others."""
    same = frozen(table, "start")
    for column in ("dataset", "P", "L", "architecture", "activation", "loss"):
        if len(own):
            same = same[same[column] == own[column].iloc[0]]
    return same


def over_alpha(table: pd.DataFrame) -> pd.DataFrame:
    """Widths that have more √h·α than a sweep against h."""
    n = table.groupby(H)[X].transform("nunique") if len(table) else pd.Series(dtype=int)
    most = n.max() if len(n) else 0
    return table[n > min(FEW - 1, most - 1)] if most > 1 else table.iloc[:0]


def against_alpha(sheet: Sheet, panels: str, table: pd.DataFrame) -> pd.DataFrame:
    """``over_alpha`` of one kind of runs; where that leaves none, every panel says so."""
    own = over_alpha(kind(sheet, f"{panels[0]}–{panels[-1]}", table))
    if not len(own):
        sheet.missing(panels, f"No width has several √hα: experiment=article/{sheet.name}.")
    return own


def over_width(table: pd.DataFrame) -> pd.DataFrame:
    """√h·α that have several widths; the few with most of them, if they differ in that."""
    n = table.groupby(X)[H].transform("nunique") if len(table) else pd.Series(dtype=int)
    return table[(n == n.max()) & (n >= MANY)]


def errors_against_width(
    sheet: Sheet, panel: str, table: pd.DataFrame, kernel: pd.DataFrame, experiment: str, *, ensembles: bool = True
) -> None:
    """Test error against h for each √h·α, and for the initial frozen kernel."""
    several = over_width(table)
    if not len(several):
        sheet.missing(panel, f"No √hα has {MANY} widths: experiment=article/{experiment}.")
    if not len(kernel):
        sheet.missing(panel, f"No frozen kernel: experiment=article/{experiment}_kernel.")
    groups = by_x(several) | ({"initial kernel": kernel} if len(kernel) else {})
    if groups:
        errors(sheet, panel, groups, axis=H, ensembles=ensembles)


def fig4(source: Source) -> Sheet:
    """Fluctuations over initialisations: Var F against h (slope −1) and √h·α; test error of the mean of an ensemble."""
    titles = {"a": "variance against h", "b": "variance against √hα", "c": "ensemble", "d": "ensemble against h"}
    sheet, table = begin("fig4", titles, source)
    table = kind(sheet, "a–d", flows(table), "P")
    sizes = sorted(table["P"].unique())
    if len(sizes) < 2:
        sheet.missing("a", "The article's is of P = 1000, another sweep: experiment=article/fig4a.")
    few = table[table["P"] == sizes[0]] if sizes else table
    several = over_width(few)
    variances(sheet, "a", by_x(several), axis=H, factor=lambda t: t[H] ** 0.0)
    if not len(several):
        sheet.missing("a", f"No √hα has {MANY} widths: experiment=article/fig4a.")
    else:
        sheet.axes["a"].set_ylabel(r"$\mathrm{Var}\,F$")
        below(sheet, "a", -1, "−1")
    own = table[table["P"] == sizes[-1]] if sizes else table
    wide = over_alpha(own)
    if len(wide):
        variances(sheet, "b", by_width(wide))
        errors(sheet, "c", by_width(wide))
    else:
        sheet.missing("bc", "No width has several √hα: experiment=article/fig4.")
    if len(over_width(own)):
        errors(sheet, "d", by_x(over_width(own)), axis=H)
    else:
        sheet.missing("d", f"No √hα has {MANY} widths: experiment=article/fig3b.")
    return sheet


def below(sheet: Sheet, panel: str, exponent: float, text: str, share: float = 0.4) -> None:
    """A guide of a slope below the upper part of what a panel shows against h."""
    rows = sheet.data()
    rows = rows[(rows["panel"] == panel) & (rows["y"] > 0)]
    if len(rows):
        low, high = rows["x"].min(), rows["x"].max()
        begin_x = low * (high / low) ** share
        y = rows[rows["x"] >= begin_x]["y"].max()
        sheet.guide(panel, (begin_x, high), 1.6 * y, exponent, text)


def fig6(source: Source) -> Sheet:
    """MNIST and CIFAR10: as Figs. 3 and 4; CIFAR10 by gradient flow and by Adam."""
    titles = {"a": "MNIST", "b": "MNIST, against the width", "c": "MNIST, rescaled", "d": "MNIST, variance"}
    sheet, table = begin("fig6", titles | {"e": "CIFAR10", "f": "CIFAR10, variance"}, source)
    cifar = table["dataset"].isin(CIFAR)
    mnist = table[~cifar]
    own = kind(sheet, "a–d", flows(mnist))
    wide = over_alpha(own)
    if len(wide):
        errors(sheet, "a", by_width(wide))
        rescaled_errors(sheet, "c", wide)
        variances(sheet, "d", by_width(wide))
    else:
        sheet.missing("acd", "No width has several √hα: experiment=article/fig6.")
    errors_against_width(sheet, "b", own, _lazy_kernel(mnist, own), "fig6b")
    names = {"gradient flow": (FLOWS, "fig6e"), "Adam": (("adam",), "fig6e_adam")}
    groups = {}
    for name, (dynamics, experiment) in names.items():
        part = kind(sheet, "e–f", table[cifar & table["dynamics"].isin(dynamics)])
        if len(part):
            groups[name] = part
        else:
            sheet.missing("e", f"No run by {name}: experiment=article/{experiment}.")
    if groups:
        errors(sheet, "e", groups)
        variances(sheet, "f", groups)
    if len(data := table[cifar]["dataset"].unique()):
        sheet.axes["e"].set_title(f"(e) {', '.join(data)}")
    return sheet
