"""Finite widths beside the limit that learns features: how far their predictors are from it, and how kernels move."""

import json
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate
from feature_lazy.study.exponents import mean, width_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Expected
from feature_lazy.systems.infinite_feature_learning import PAPER

CHANGE = "kernel/change"
ALL = (0.0, np.inf)
FEATURES, LAZY = ("mup", "mean_field"), ("ntk",)
"""Parametrisations that go to the limit, which are one network at L = 1; and that which stops learning."""
ROOT = Expected(-0.5, 0.1, "finite h")
"""Means over h units; an independent calculation has −0.487 ± 0.026 (h = 64 … 4096)."""
RESTS = Expected(0, 0.1, "finite h")
"""The same calculation has 1.88, 2.17, 2.14 and 2.17 at these widths, and 2.15 of the limit."""
LIMIT = Expected(1, 0.05, "finite h")
FALLS = Expected(-1, 0.15, "finite h")
"""The same calculation has −1.05 ± 0.09."""
SAYS = {
    "paper": PAPER,
    # All runs are compared at one time, and end there.
    "outcomes": ("t_end",),
    "across": KINDS,
    "lacks": "linear networks of one hidden layer beside architecture=infinite_linear, at one α and until one t_end",
    "quiet": True,
}


@law("predictor less that of the limit, against h", needs=(CHANGE,), expected=ROOT, **SAYS)
def gap_against_width(table: pd.DataFrame) -> Estimate | None:
    """−½: ‖F_h − F_∞‖/‖F_∞‖ on the test set at the end."""
    return width_slope(beside(table, FEATURES), "gap", ALL, fixed="alpha")


@law("kernel change in µP, against h", needs=(CHANGE,), expected=RESTS, **SAYS)
def change_of_features(table: pd.DataFrame) -> Estimate | None:
    """0: features are learnt at every width."""
    return width_slope(beside(table, FEATURES), CHANGE, ALL, fixed="alpha")


@law("kernel change in µP over that of the limit, widest", needs=(CHANGE,), expected=LIMIT, **SAYS)
def change_of_the_limit(table: pd.DataFrame) -> Estimate | None:
    """1."""
    rows = beside(table, FEATURES)
    rows = rows[rows[H] == rows[H].max()]
    return mean(rows.assign(ratio=rows[CHANGE] / rows["limit"]), "ratio", ALL)


@law("kernel change in NTK, against h", needs=(CHANGE,), expected=FALLS, **SAYS)
def change_of_the_lazy(table: pd.DataFrame) -> Estimate | None:
    """−1, at the same α and the same time."""
    return width_slope(beside(table, LAZY), CHANGE, ALL, fixed="alpha")


def beside(table: pd.DataFrame, parametrisations: tuple[str, ...]) -> pd.DataFrame:
    """The finite networks that a limit was trained like, with ``gap`` from it and ``limit``, its kernel change."""
    limits = {_task(run): run for run in table["run"] if _kind(run) == "infinite_linear"}
    own = [_finite(run) and run.columns.get("parametrisation") in parametrisations for run in table["run"]]
    rows = table[np.array(own, dtype=bool)]
    rows = rows[np.array([_task(run) in limits for run in rows["run"]], dtype=bool)]
    pairs = [(run, limits[_task(run)]) for run in rows["run"]]
    return rows.assign(
        gap=np.array([_gap(*pair) for pair in pairs], dtype=float),
        limit=np.array([other.summary[CHANGE] for _, other in pairs], dtype=float),
    )


def _kind(run: Run) -> Any:
    return run.config.get("architecture", {}).get("kind")


def _finite(run: Run) -> bool:
    """Whether a run is of a linear network of one hidden layer without biases."""
    network = run.config.get("architecture", {})
    linear = run.config.get("activation", {}).get("kind") == "linear"
    return linear and _kind(run) == "fully_connected" and network.get("depth") == 1 and not network.get("bias")


def _task(run: Run) -> str:
    """What was learnt, at which α and until when, whatever the network."""
    what = [run.config.get(group) for group in ("dataset", "labels", "loss", "alpha", "dynamics", "centred")]
    return json.dumps([*what, float(run.history["t"][-1])], sort_keys=True)


def _gap(run: Run, limit: Run) -> float:
    return float(
        np.linalg.norm(run.outputs["F_test"] - limit.outputs["F_test"]) / np.linalg.norm(limit.outputs["F_test"])
    )


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The distance of predictors from that of the limit against h, for the atlas."""
    label = "‖F − F∞‖/‖F∞‖ on the test set, at one t"
    against_width(axes, beside(table, FEATURES), "gap", label, ROOT.value)
