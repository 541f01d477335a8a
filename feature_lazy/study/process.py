"""Networks beside the Gaussian process that they are drawn from, at every time of a gradient flow with mse."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.kernels import gp_prediction
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.gp import GaussianProcess
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Expected

MEAN = Expected(1, 0.6, "correlated points")
"""Over P_test points that are independent the rms would be 1 ± 1/√(2·P_test); few points are. An independent
calculation has 0.63 … 0.76 at nine times (M = 80, h = 200)."""
VARIANCE = Expected(1, 0.1, "finite h")
"""The next order in 1/h is what the tenth is for, at h = 256; an independent calculation has 0.93 … 1.03."""
MEMBERS = 8
"""Networks from which on an average and a variance are judged."""
LACKS = f"loss=mse, centred=false, observe/also=[outputs] and {MEMBERS} seeds at one width"


@dataclass(frozen=True)
class Beside:
    """Predictors of M networks, with mean μ and covariance C of the process.

    Attributes:
        values: (F − μ)/√C on test patterns after t = 0, or at the end alone, (M, T, n).
        correlation: that of C at the end, (n, n).
    """

    values: np.ndarray
    correlation: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, *, end: bool = False) -> Self | None:
        """The widest networks of one output that are not centred; None: too few, or of several α or times.

        At the ``end`` alone times may differ: a network that has fit every pattern rests.
        """
        runs = [run for run in table[table[H] == table[H].max()].get("run", ()) if isinstance(run, Run)]
        runs = [run for run in runs if "F_test" in run.arrays and run.config.get("centred") is False]
        if len(runs) < MEMBERS or table["alpha"].nunique() > 1:
            return None
        times = [(t[-1:], f[-1:]) if end else (t[1:], f[1:]) for t, f in (run.over_time("F_test") for run in runs)]
        t = max((t for t, _ in times), key=lambda t: t.max(initial=0.0))  # those that fit at once have t = 0 alone
        if any(len(other) != len(t) or not (end or np.allclose(other, t)) for other, _ in times):
            return None
        values = np.stack([f for _, f in times])
        found = process(runs[0], t, values.shape[2])
        if found is None or found[0].ndim > 2:
            return None
        mean, covariance = found
        scale = np.sqrt(covariance.diagonal(axis1=1, axis2=2))
        return cls((values - mean) / scale, covariance[-1] / np.outer(scale[-1], scale[-1]))

    def mean(self) -> Estimate:
        """Rms over times and test points of (mean of M networks − μ)/√(C/M).

        The error bar is that of a mean square of normal numbers with the correlations of C at the end, 2 tr R²/n²,
        since all M networks make one mean.
        """
        members = len(self.values)
        value = float(np.sqrt((self.values.mean(0) ** 2 * members).mean()))
        spread = np.sqrt(2 * np.square(self.correlation).sum()) / len(self.correlation)
        return Estimate(value, float(1.96 * spread / 2), members)

    def variance(self) -> Estimate:
        """Mean over times and test points of Var F/C, about μ and not about the mean of M networks."""
        squares = np.square(self.values).reshape(len(self.values), -1).mean(1)
        return average(squares)


def process(run: Run, t: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean of F at times t on the first n test patterns, and the covariance of each output; None: it is not known.

    Returns:
        The mean, (T, n), or (T, n, C) of a network with C outputs, and the covariance, (T, n, n).
    """
    try:
        kernels, task, _ = Bench().ready(run, "infinite_ntk")
    except FeatureLazyError:
        return None
    drawn, y = kernels.drawn, task.targets
    if drawn is None or list(GaussianProcess().problems(from_plain(run.config))):
        return None
    nngp = drawn.train, drawn.test_train[:n], drawn.between(kernels.x_test[:n], None).double()
    mean, covariance = gp_prediction((kernels.train, kernels.test_train[:n]), nngp, y, t, symmetric=kernels.symmetric)
    return mean.numpy(), float(run.columns["alpha"]) ** 2 * covariance.numpy()
