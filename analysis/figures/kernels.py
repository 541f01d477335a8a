"""Fig. 8: Gram matrices before and after training, and what frozen kernels predict."""

import numpy as np
import pandas as pd

from analysis.figures.panels import H, X, errors
from analysis.figures.performance import begin, kind
from analysis.figures.source import Source, flows, frozen
from feature_lazy.study.contrasts import UNFIT
from feature_lazy.study.figures.sheet import Sheet

SHOWN = (0.1, 1.9)
"""Range of the grey scale, in root mean squares of Θ."""
MATRIX_PIXELS = 128
"""Patterns of a Gram matrix in the CSV at most: the first of each label."""


def fig8(source: Source) -> Sheet:
    """Gram matrices at the start and at the end; test error of the network and of its frozen kernels against h."""
    titles = {"a": "Θ at the start", "b": "Θ at the end", "c": "fully connected, ReLU", "d": "CNN, ReLU"}
    sheet, table = begin("fig8", titles, source, unfit=UNFIT)
    matrices = [row for _, row in source.table[source.table["matrices"]].iterrows()]
    for panel, moment in (("a", "start"), ("b", "end")):
        if matrices:
            _gram(sheet, panel, matrices[0], moment)
        else:
            sheet.missing(panel, "No run has stored Θ: experiment=article/fig8.")
    for panel, architecture, experiment in (("c", "fully_connected", "fig8c"), ("d", "cnn", "fig8d")):
        part = table[(table["architecture"] == architecture) & (table["activation"] == "relu")]
        _frozen(sheet, panel, kind(sheet, panel, part, "dynamics", "frozen", "eps_gradient"), experiment)
    return sheet


def _gram(sheet: Sheet, panel: str, row: pd.Series, moment: str) -> None:
    """Θ of the probe set in units of its root mean square, patterns in order of their label."""
    outputs = row["run"].outputs
    theta = outputs[f"theta_{moment}"]
    y = outputs["y_test"][: len(theta)]
    order = np.argsort(y, kind="stable")
    theta = theta[np.ix_(order, order)] / np.sqrt(np.mean(theta**2))
    axes = sheet.axes[panel]
    image = axes.imshow(theta, cmap="gray", vmin=SHOWN[0], vmax=SHOWN[1])
    change = sum(y == y.min()) - 0.5
    axes.set(xticks=[change], yticks=[change], xticklabels=[], yticklabels=[])
    axes.grid(visible=False)
    axes.set_xlabel(f"{row['architecture']}, {row['dataset']}; y = −1, then y = 1")
    sheet.figure.colorbar(image, ax=axes, label="Θ / rms")
    kept = np.linspace(0, len(theta) - 1, min(len(theta), MATRIX_PIXELS)).round().astype(int)
    for i in kept:
        for j in kept:
            sheet.record(panel, f"row {i}", float(j), float(theta[i, j]))


def _frozen(sheet: Sheet, panel: str, table: pd.DataFrame, experiment: str) -> None:
    """Test error of the network and of the kernels frozen at its start and end, against h, at the least √h·α."""
    kernels = table[table["frozen"] != ""]
    table = table[table[X] == (kernels if len(kernels) else table)[X].min()]
    parts = {
        "initial kernel": (frozen(table, "start"), f"{experiment}_kernel"),
        "final kernel": (frozen(table, "end"), f"{experiment}_kernel"),
        "network": (flows(table), experiment),
    }
    groups = {name: part for name, (part, _) in parts.items() if len(part)}
    for name, (part, command) in parts.items():
        if not len(part):
            sheet.missing(panel, f"No run of the {name}: experiment=article/{command}.")
    if groups:
        errors(sheet, panel, groups, axis=H, ensembles=False)
        sheet.axes[panel].set_title(f"({panel}) {table['architecture'].iloc[0]}, ReLU: {table['dataset'].iloc[0]}")
