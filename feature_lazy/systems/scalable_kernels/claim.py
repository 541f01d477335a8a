"""Layers of fixed features merged into one: lazy at every α, up to least squares; how many features tell how much."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from feature_lazy.runs.network import stored_network
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average, unless_refused
from feature_lazy.study.exponents import at_start, start_slope, width_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import Joined, law
from feature_lazy.study.limit_laws import AT_START
from feature_lazy.study.limit_laws import KERNEL as DEVIATION
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Bound
from feature_lazy.systems.scalable_kernels import PAPER

CHANGE, ERROR = "kernel/change", "test/error"
ROUNDING, EXACT = Bound(1e-10, "below"), Bound(1e-6, "below")
FALLS, FEW = Bound(0, "below"), Bound(0.06, "below")
"""An independent calculation, by ridge regression, has 12.3, 4.0 and 3.1 % with 50, 200 and 600 numbers; half as much
again as its 4.0 is left to early stopping."""
COMPETES = Bound(0.01, "below")
"""The paper's, for adapters in networks of 768 units: a fifth of the numbers at competitive accuracy. The independent
calculation has 17 points on digits of 64 pixels, with 13 features in place of 64."""
FIFTH = 0.21
"""Trained weights of the first layer over those of an ordinary one, at most: 13 features for 64 inputs."""
SAYS = {"paper": PAPER, "outcomes": ("t_end", "converged", "stationary"), "quiet": True}
LACKS = "runs of architecture=snnk with architecture.bundle=full, at {}"


@law(
    "kernel change, fully bundled, largest over α",
    where="bundling",
    needs=(CHANGE,),
    expected=ROUNDING,
    lacks=LACKS.format("two α at least, to the end of training"),
    **SAYS,
)
def rests(table: pd.DataFrame) -> Estimate | None:
    """0, to rounding: it is linear in its weights, and so lazy at every α."""
    rows = at_several_alphas(table)
    return _largest(rows.assign(found=rows[CHANGE]))


@law(
    "outputs at the end less least squares, over them, largest over α",
    where="explicit optimum of the bundled network",
    needs=(CHANGE,),
    expected=EXACT,
    lacks=LACKS.format("two α, with loss=mse, observe.weights=ends and more patterns than features"),
    **SAYS,
)
def optimum(table: pd.DataFrame) -> Estimate | None:
    """Below 1e-6: what least squares gives without any training, on the test set."""
    rows = at_several_alphas(table, lambda run: _kind(run, "loss") == "mse" and bool(run.weight_numbers))
    return unless_refused(
        lambda: _largest(rows.assign(found=np.array([_gap(run) for run in rows["run"]], dtype=float)))
    )


@law(
    "kernel of m features against its limit, exponent of m",
    where="random features",
    needs=(DEVIATION,),
    expected=AT_START,
    lacks=LACKS.format("two widths, with observe/also=[limit]"),
    **SAYS,
)
def deviation(table: pd.DataFrame) -> Estimate | None:
    """−½, the limit of relu being the arc-cosine kernel; an independent calculation has −0.506 ± 0.004."""
    return start_slope(bundled(table), DEVIATION)


@law(
    "test error, fully bundled, exponent of m",
    where="number of trained weights",
    needs=(DEVIATION, ERROR),
    expected=FALLS,
    lacks=LACKS.format("two widths, with observe/also=[limit]"),
    **SAYS,
)
def falls(table: pd.DataFrame) -> Estimate | None:
    """Below 0: more features err less."""
    return width_slope(bundled(table), ERROR, (0.0, np.inf), fixed="alpha")


@law(
    "test error of parity, fully bundled, 200 trained weights",
    where="number of trained weights",
    needs=(DEVIATION, ERROR),
    expected=FEW,
    lacks=LACKS.format("width.h=200 on dataset=digits, with observe/also=[limit]"),
    **SAYS,
)
def few(table: pd.DataFrame) -> Estimate | None:
    """Below 0.06."""
    rows = bundled(table, lambda run: _kind(run, "dataset") == "digits")
    rows = rows[rows[H] == 200]
    return average(rows[ERROR].to_numpy()) if len(rows) else None


@law(
    "test error with a fifth of the weights of a layer, less that of the layer",
    where="fewer trained weights at competitive accuracy",
    needs=(ERROR,),
    expected=COMPETES,
    lacks="runs of architecture=snnk, with a fifth as many features as inputs, beside those of "
    "architecture=fully_connected, both with observe.weights=ends",
    across=Joined("architecture", "snnk", "fully_connected"),
    **SAYS,
)
def competes(pairs: pd.DataFrame) -> Estimate | None:
    """Below 0.01, at one width: features are multiplied with h weights each, as inputs are."""
    share = [_share(*both) for both in zip(pairs["run"], pairs["run_other"], strict=True)]
    pairs = pairs[np.array(share) <= FIFTH]
    return average((pairs[ERROR] - pairs[f"{ERROR}_other"]).to_numpy()) if len(pairs) else None


def bundled(table: pd.DataFrame, also: Callable[[Run], bool] = lambda run: True) -> pd.DataFrame:
    """The runs of fully bundled networks of which something more is so."""
    full = [
        _kind(run, "architecture") == "snnk" and run.config["architecture"].get("bundle") == "full" and also(run)
        for run in table["run"]
    ]
    return table[np.array(full, dtype=bool)]


def at_several_alphas(table: pd.DataFrame, also: Callable[[Run], bool] = lambda run: True) -> pd.DataFrame:
    """The same, if they are of more than one α."""
    rows = bundled(table, also)
    return rows if rows["alpha"].nunique() > 1 else rows.iloc[:0]


def _kind(run: Run, group: str) -> str | None:
    return run.config.get(group, {}).get("kind")


def _largest(rows: pd.DataFrame) -> Estimate | None:
    """Mean over seeds of the largest ``found`` of each."""
    each = rows.groupby("seed")["found"].max().dropna()
    return average(each.to_numpy()) if len(each) else None


def _share(*runs: Run) -> float:
    """Trained weights of the first layer of one run over those of another; infinite where they are not known.

    A bundled network has none but those of its output layer, and is none that competes.
    """
    first = [run.weights(0).get("W0") if run.weight_numbers else None for run in runs]
    sizes = [layer.size for layer in first if layer is not None]
    return sizes[0] / sizes[1] if len(sizes) == 2 else np.inf


def _gap(run: Run) -> float:
    """‖F − F*‖/‖F*‖ on the test set, with F* of the least change of weights among those of least squares."""
    found = stored_network(run)
    data, net = found.data, found.architecture
    params = net.layout.unflatten(found.weights(0))
    train, test = (net.taps(params, x)[1][-1] for x in (data.x_train, data.x_test))  # type: ignore[attr-defined]
    wanted = test.inputs[0] @ torch.linalg.lstsq(train.inputs[0], data.y_train[:, None], driver="gelsd").solution
    return float(np.linalg.norm(run.outputs["F_test"].ravel() - wanted.numpy().ravel()) / wanted.norm())


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The distance of the kernel from its limit against the number of features, for the atlas."""
    label = "‖Θ − Θ∞‖/‖Θ∞‖ at the start"
    rows = at_start(bundled(table), DEVIATION)
    against_width(axes, rows, "start", label, AT_START.value)
