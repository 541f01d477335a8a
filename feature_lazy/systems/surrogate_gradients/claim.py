"""Sign networks that learn by surrogate gradients, beside the process of their kernel and beside other kernels'."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.kernels import gp_prediction, mse_prediction
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.estimate import Estimate, jackknife, weighted_mean
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import law
from feature_lazy.study.process import MEMBERS, VARIANCE, Beside
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Expected
from feature_lazy.systems.surrogate_gradients import PAPER

MEAN = Expected(1, 0.35, "correlated points")
"""An independent calculation has 1.03 at h = 300 and 2.05 at h = 30, of 16 networks with one hidden layer."""
LACKS = (
    f"activation=sign, loss=mse, labels=regression, centred=false, α = 1 and {MEMBERS} seeds that trained to one time"
)
SAYS = {"paper": PAPER, "needs": ("test/loss",), "outcomes": ("t_end", "converged"), "quiet": True}


@dataclass(frozen=True)
class Ends:
    """Networks of one width at the end of their training, and what kernels predict.

    Attributes:
        outputs: F of M networks on the test set, (M, n).
        mean: of the process of the surrogate NTK at that time, (n,).
        covariance: its own, (n, n).
        exchanged: the mean if the kernel had its arguments the other way round, (n,).
        posterior: the mean of the Gaussian process that networks begin as, given the training set, (n,).
    """

    outputs: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    exchanged: np.ndarray
    posterior: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self | None:
        """Those of a table with one width; None where they are too few, or not of such a process."""
        runs = [run for run in table.get("run", ()) if isinstance(run, Run)]
        runs = [run for run in runs if run.config.get("activation", {}).get("kind") == "sign"]
        alike = {repr((run.config.get("dataset"), run.columns["alpha"], run.summary.get("t"))) for run in runs}
        if len(runs) < MEMBERS or len(alike) > 1 or runs[0].columns["alpha"] != 1:
            return None
        try:
            kernels, task, _ = Bench().ready(runs[0], "infinite_ntk")
        except FeatureLazyError:
            return None
        drawn, y = kernels.drawn, task.targets
        if drawn is None or y.dim() > 1 or runs[0].config.get("loss", {}).get("kind") != "mse":
            return None
        nngp = drawn.train, drawn.test_train, drawn.between(kernels.x_test, None)
        theta = kernels.train, kernels.test_train
        other = theta[0].mT, kernels.between(kernels.x_train, kernels.x_test).mT
        t = [float(runs[0].summary["t"])]

        def predicted(pair: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
            mean, covariance = gp_prediction(pair, nngp, y, t, symmetric=False)
            return mean[0].numpy(), covariance[0].numpy()

        posterior = mse_prediction(drawn.train, drawn.test_train, y, [math.inf])[1][0].numpy()
        outputs = np.stack([run.outputs["F_test"] for run in runs])
        return cls(outputs, *predicted(theta), predicted(other)[0], posterior)

    @classmethod
    def widest(cls, table: pd.DataFrame) -> Self | None:
        """Those of the widest networks."""
        return cls.of(table[table[H] == table[H].max()])

    @property
    def beside(self) -> Beside:
        """(F − μ)/√C."""
        sd = np.sqrt(self.covariance.diagonal())
        return Beside(((self.outputs - self.mean) / sd)[:, None], self.covariance / np.outer(sd, sd))

    def farther(self, other: np.ndarray) -> Estimate:
        """By how much the mean of the networks is farther from another prediction than from μ, rms over the test set.

        The error leaves one network out at a time: drawn twice it would make a mean of fewer.
        """

        def distance(weights: np.ndarray) -> np.ndarray:
            means = weighted_mean(weights, self.outputs.T)
            far, near = (np.sqrt(np.square(means - one).mean(1)) for one in (other, self.mean))
            return far - near

        return jackknife(distance, len(self.outputs))


@law("ensemble mean less the surrogate NTK's, over its error", where="ensembles", expected=MEAN, lacks=LACKS, **SAYS)
def mean(table: pd.DataFrame) -> Estimate | None:
    """1: rms over test points of (mean of M networks − μ)/√(C/M)."""
    found = Ends.widest(table)
    return found and found.beside.mean()


@law("variance over seeds, over the surrogate NTK's", where="ensembles", expected=VARIANCE, lacks=LACKS, **SAYS)
def variance(table: pd.DataFrame) -> Estimate | None:
    """1: mean over test points of Var F/C."""
    found = Ends.widest(table)
    return found and found.beside.variance()


@law("mean of networks farther from the NNGP posterior", where="ensembles", expected=ABOVE_ZERO, lacks=LACKS, **SAYS)
def not_posterior(table: pd.DataFrame) -> Estimate | None:
    """Above 0: rms distance to the posterior, in which the output layer learns alone, less that to μ."""
    found = Ends.widest(table)
    return found and found.farther(found.posterior)


@law(
    "mean of networks farther from the kernel with arguments exchanged",
    where="a kernel that is not symmetric",
    expected=ABOVE_ZERO,
    lacks=f"{LACKS}, and patterns of several lengths",
    **SAYS,
)
def not_exchanged(table: pd.DataFrame) -> Estimate | None:
    """Above 0: rms distance to what Θ(x′, x) would predict, less that to μ; where all |x| are one both are one."""
    found = Ends.widest(table)
    if found is None or np.allclose(found.exchanged, found.mean):
        return None
    return found.farther(found.exchanged)


@law(
    "ensemble mean less the surrogate NTK's: narrow less wide",
    where="infinite width",
    expected=ABOVE_ZERO,
    lacks=f"{LACKS}, at each of two widths",
    **SAYS,
)
def narrow(table: pd.DataFrame) -> Estimate | None:
    """Above 0: of the first law's number at the smallest width, and at the largest."""
    if table[H].nunique() < 2:
        return None
    both = Ends.of(table[table[H] == table[H].min()]), Ends.widest(table)
    if both[0] is None or both[1] is None:
        return None
    few, many = (one.beside.mean() for one in both)
    return Estimate(few.value - many.value, math.hypot(few.error, many.error), min(few.seeds, many.seeds))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Mean of the widest networks against predictions of kernels, less what is learnt, for the atlas."""
    found = Ends.widest(table)
    if found is None:
        return
    error = np.sqrt(found.covariance.diagonal() / len(found.outputs))
    order = np.argsort(found.mean)
    means, place = found.outputs.mean(0), np.arange(len(order))
    axes.fill_between(place, *(sign * 2 * error[order] for sign in (-1, 1)), color="0.85", label="95 % of its error")
    lines = (("networks", means), ("NNGP posterior", found.posterior), ("arguments exchanged", found.exchanged))
    for index, (name, values) in enumerate(lines):
        axes.plot(place, (values - found.mean)[order], linestyle="", markersize=3, label=name, **look(index))
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel="test patterns, by the surrogate NTK's μ", ylabel="prediction less μ")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
