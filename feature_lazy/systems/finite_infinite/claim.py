"""What is said of kernels of infinite width, on parts of a run's training set; and averages of finite networks."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.kernels import mse_prediction
from feature_lazy.networks.base import Network
from feature_lazy.networks.limits.limit import limit_kernels
from feature_lazy.runs.batch import build
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.baselines.compute import Bench, error
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.law import law
from feature_lazy.study.table import H, ensembles
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.finite_infinite import PAPER
from feature_lazy.systems.finite_infinite.parts import Part, eigen_regression, folds, on_sphere, shifted

ERROR = "test/error"
FOLDS = 4
"""Parts of the training set, each a training set of its own: what errors of laws on kernels come from."""
RIDGES = (1e-3, 1e-2, 1e-1)
BROAD = (1e-6, 1e-2)
SMALL = 1e-4
"""Ridge of what is compared by its error."""
SIZES = (200, 400, 800)
DRAWS = 3
WIDE = Expected(0, 0.02, "broad")
"""An independent calculation has accuracies 0.921, 0.921, 0.920 and 0.919 at 1e-6 … 1e-2 (MNIST, P = 800)."""
FLAT = Expected(0, 0.5, "a floor")
"""An independent calculation stays at 3e-4 … 6e-4 from P = 200 on."""
ENDED = ("converged", "t_end")
LACKS = "loss=mse, one output, and networks whose limit is known"
SAYS = {"paper": PAPER, "needs": (ERROR,), "outcomes": ENDED, "quiet": True}


def _kind(run: Run, group: str) -> str:
    """The option that a run has of a group; of a sweep that is not of this system it may say none."""
    return run.config.get(group, {}).get("kind", "")


def _over_folds(table: pd.DataFrame, measure: Callable[[Part], float]) -> Estimate | None:
    """Mean of a number over parts of the training set of these runs, ± 95 %."""
    run = next((run for run in table.get("run", ()) if isinstance(run, Run)), None)
    if run is None or _kind(run, "loss") != "mse":
        return None
    try:
        found = np.array([measure(part) for part in folds(Bench(), run, FOLDS)])
    except (FeatureLazyError, ValueError):
        return None
    return average(found)


@law(
    "ridge against early stopping, least correlation of the predictors",
    where="diagonal regularisation",
    expected=Bound(0.999),
    lacks=LACKS,
    **SAYS,
)
def early_stopping(table: pd.DataFrame) -> Estimate | None:
    """Above 0.999: (K + r)⁻¹ against (I − e^{−Kt/P})K⁻¹ at t/P = 1/r, over r = 1e-3 … 1e-1 of tr K/P."""

    def correlation(part: Part) -> float:
        ridged = [part.regression("ntk", ridge) for ridge in RIDGES]
        scale = float(part.ntk[0].diagonal().mean())
        times = [len(part.y) / (ridge * scale) for ridge in RIDGES]
        stopped = mse_prediction(*part.ntk, part.y, times)[1]
        both = zip(ridged, stopped, strict=True)
        return min(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in both)

    return _over_folds(table, correlation)


@law(
    "accuracy of NNGP less that of NTK",
    where="NNGP and NTK",
    expected=Bound(0.0),
    lacks=LACKS,
    **SAYS,
)
def nngp_over_ntk(table: pd.DataFrame) -> Estimate | None:
    """Above 0, at a small ridge."""
    return _over_folds(table, lambda part: part.error("ntk", SMALL) - part.error("nngp", SMALL))


@law(
    "test error at a ridge of 1e-2 less that at 1e-6",
    where="diagonal regularisation",
    expected=WIDE,
    lacks=LACKS,
    **SAYS,
)
def broad_ridge(table: pd.DataFrame) -> Estimate | None:
    """0 ± 0.02: the best ridge is broad."""
    return _over_folds(table, lambda part: part.error("ntk", BROAD[1]) - part.error("ntk", BROAD[0]))


@law(
    "test error of a kernel less that of its mean over shifted training sets",
    where="ensembling kernel predictors",
    expected=Bound(0.0),
    lacks=f"images of one channel; {LACKS}",
    **SAYS,
)
def shifted_sets(table: pd.DataFrame) -> Estimate | None:
    """Above 0: the mean of predictors on the training set and on it moved by a pixel to each side."""

    def gain(part: Part) -> float:
        moved = [part.of(x).regression("nngp", SMALL) for x in shifted(part.x, part.shape)]
        mean = torch.stack([part.regression("nngp", SMALL), *moved]).mean(0)
        return part.error("nngp", SMALL) - error(mean.numpy(), part.labels.numpy())

    return _over_folds(table, gain)


@law(
    "error of one network less that of their mean",
    where="ensembling",
    expected=Bound(0.0),
    lacks="two seeds at one width and α of loss=mse",
    **SAYS,
)
def ensemble_gain(table: pd.DataFrame) -> Estimate | None:
    """Above 0, at the widest h, the error bar over test patterns: all seeds make one mean."""
    runs = [run for run in table.get("run", ()) if isinstance(run, Run) and _kind(run, "loss") == "mse"]
    found = ensembles(table[table[H] == table[H].max()]) if len(runs) == len(table) else []
    if not found or found[-1].predictors.ndim > 2 or not (np.abs(found[-1].labels) == 1).all():
        return None
    one = found[-1]
    gaps = (one.predictors * one.labels <= 0).mean(0) - (one.mean * one.labels <= 0)
    return average(gaps)


def _of_precision(table: pd.DataFrame, dtype: torch.dtype) -> Estimate | None:
    """Exponent of rms(F − y) in the number of patterns on a sphere, for the smooth kernel of these runs."""
    run = next((run for run in table.get("run", ()) if isinstance(run, Run)), None)
    if run is None or (_kind(run, "loss"), _kind(run, "activation")) != ("mse", "erf"):
        return None
    try:
        network = build(from_plain(run.config)).architecture
        slopes = np.array([_slope(network, dtype, seed) for seed in range(DRAWS)])
    except FeatureLazyError:
        return None
    return average(slopes)


def _slope(network: Network, dtype: torch.dtype, seed: int) -> float:
    (x, y), (tests, wanted) = on_sphere(SIZES[-1], seed, "train"), on_sphere(300, seed, "test")
    k, onto = limit_kernels(network, x).ntk, limit_kernels(network, tests, x).ntk
    found: list[Tensor] = [eigen_regression(k[:n, :n], onto[:, :n], y[:n], dtype) for n in SIZES]
    rms = [float((one - wanted).square().mean().sqrt()) for one in found]
    return float(np.polyfit(np.log(SIZES), np.log(rms), 1)[0])


@law(
    "error of a smooth kernel against P, double precision",
    where="floating point precision",
    expected=Bound(-4.0, "below"),
    lacks="loss=mse and activation=erf, whose kernel is smooth",
    **SAYS,
)
def double_precision(table: pd.DataFrame) -> Estimate | None:
    """Below −4, for P = 200 … 800 patterns on the sphere of three dimensions and an odd target."""
    return _of_precision(table, torch.float64)


@law(
    "error of a smooth kernel against P, single precision",
    where="floating point precision",
    expected=FLAT,
    lacks="loss=mse and activation=erf, whose kernel is smooth",
    **SAYS,
)
def single_precision(table: pd.DataFrame) -> Estimate | None:
    """0 ± 0.5: what is left is rounding. More patterns still average it, as 1/P, by a cut-off."""
    return _of_precision(table, torch.float32)


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Test errors of one network, of their mean, with and without f₀, and of both kernels, for the atlas."""
    names = ("network", "centred", "mean", "centred mean", "NTK", "NNGP")
    for place, (activation, part) in enumerate(table.groupby("activation", sort=False)):
        centred = part["run"].map(lambda run: run.config.get("centred", True) is True)
        finite = [part[~centred], part[centred]]
        means = [ensembles(one)[-1].error for one in finite]
        bench = Bench()
        first = part["run"].iloc[0]
        kernels = [one.error(name, SMALL) for one in folds(bench, first, 1) for name in ("ntk", "nngp")]
        values = [*(one[ERROR].mean() for one in finite), *means, *kernels]
        axes.bar(np.arange(len(names)) + 0.4 * place, values, width=0.4, label=str(activation))
    axes.set_xticks(np.arange(len(names)) + 0.2, names, rotation=30)
    axes.set_ylabel("test error")
    axes.legend()
