"""What a sweep lacks, in sentences."""

import itertools

import pandas as pd

from feature_lazy.core.words import counted
from feature_lazy.study.regimes import Regimes, regimes, words
from feature_lazy.study.table import H, X

SHOWN = 3


def missing(table: pd.DataFrame) -> list[str]:
    """What figures and laws cannot show of this sweep, and why; empty if nothing is missing.

    Holes in the grid of h, √h·α and seed, runs that did not converge, a single seed or width, no kernel, and regimes
    that the values of √h·α do not reach.
    """
    return [*_holes(table), *_outcomes(table), *_single(table), *_regimes(table)]


def _holes(table: pd.DataFrame) -> list[str]:
    """Cells of the full grid without a run; with α itself given, each width has √h·α of its own."""
    by = X if table[X].nunique() <= table["alpha"].nunique() else "alpha"
    axes = [sorted(table[name].unique()) for name in (H, by, "seed")]
    there = set(zip(table[H], table[by], table["seed"], strict=True))
    holes = [cell for cell in itertools.product(*axes) if cell not in there]
    if not holes:
        return []
    name = "√hα" if by == X else "α"
    few = "; ".join(f"h = {h}, {name} = {x:g}, seed {seed}" for h, x, seed in holes[:SHOWN])
    more = ", …" if len(holes) > SHOWN else ""
    total = len(axes[0]) * len(axes[1]) * len(axes[2])
    return [f"{len(holes)} of the {total} cells of the grid have no complete run: {few}{more}."]


def _outcomes(table: pd.DataFrame) -> list[str]:
    others = table["outcome"][table["outcome"] != "converged"].value_counts()
    if not len(others):
        return []
    names = ", ".join(f"{count} {name}" for name, count in others.items())
    return [f"{counted(others.sum(), 'run')} did not converge ({names}): laws leave them out."]


def _single(table: pd.DataFrame) -> list[str]:
    sentences = []
    if table["seed"].nunique() == 1:
        sentences.append("There is one seed: no value has an error, and there is no variance and no ensemble.")
    if table[H].nunique() == 1:
        sentences.append("There is one width: nothing can be said about h, neither collapse nor boundary nor variance.")
    return sentences


def _regimes(table: pd.DataFrame) -> list[str]:
    found: Regimes | None = regimes(table)
    if found is None:
        return ["The kernel change was not measured (observe.kernel.probe=0), so the regimes are not known."]
    sentences = []
    if not (table["kernel_change"] > 1).any() or not (table["kernel_change"] < 1).any():
        side = "smaller" if not (table["kernel_change"] > 1).any() else "larger"
        sentences.append(f"The kernel change does not cross 1: the boundary needs {side} √hα.")
    for name in ("lazy", "feature"):
        between = getattr(found, name)
        if between and table[X].between(*between).groupby(table[X]).any().sum() < 2:
            sentences.append(
                f"Fewer than two values of √hα are deep in the {name} regime, {words(between)}: no exponents."
            )
    return sentences
