"""Figs. 1 and 2: the plane of α and h, and the losses."""

import numpy as np

from analysis.figures.source import Source, flows, one_kind
from feature_lazy.study.figures import overview
from feature_lazy.study.figures.sheet import Sheet
from feature_lazy.study.figures.style import look
from feature_lazy.study.table import fitted

HINGES = {"hinge": np.inf, r"soft hinge, $\beta = 20$": 20.0, r"$\beta = 5$": 5.0, r"$\beta = 1$": 1.0}
MARGINS = (-0.7, 1.5)


def fig1(source: Source) -> Sheet:
    """Feature and lazy training in the plane of α and h: measured kernel change, and the boundary α* ~ 1/√h."""
    table, notes = one_kind(flows(source.table).dropna(subset=["kernel_change"]))
    table, unfit = fitted(table)
    if len(table):
        sheet = overview.phase_diagram(table, "fig1")
    else:
        sheet = Sheet("fig1", {"a": "kernel change"}, columns=1, height=3.2)
        sheet.missing("a", "No run has a kernel change: observe.kernel.probe=128 records it.")
    for sentence in [*source.notes, *notes, *unfit]:
        sheet.note(sentence)
    return sheet


def fig2(source: Source | None = None) -> Sheet:
    """Losses ℓ against the margin F·y: hinge, and soft hinges of several β; needs no run."""
    sheet = Sheet("fig2", {"a": "losses"}, columns=1, height=2.6)
    margin = np.linspace(*MARGINS, 89)
    for index, (name, beta) in enumerate(HINGES.items()):
        loss = np.maximum(0, 1 - margin) if np.isinf(beta) else np.logaddexp(0, beta * (1 - margin)) / beta
        sheet.line("a", name, margin, loss, style=look(index), markevery=11)
    sheet.decorate("a", r"margin $F y$", r"$\ell$", "linear-linear", xlim=MARGINS)
    return sheet
