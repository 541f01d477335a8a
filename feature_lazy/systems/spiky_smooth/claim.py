"""What interpolated noise costs: kernels of infinite width with and without a spike, on parts of a training set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.kernels import kernel_regression
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.kernels import Between
from feature_lazy.study.estimate import Estimate, average, estimate, weighted_mean
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.spiky_smooth import PAPER

SIZES = (15, 60, 240)
MOST = 24
"""Parts of a training set of each size at most; each is a draw of patterns and noise."""
SPIKY, PLAIN = "spiky_relu", "relu"
LOSS = "test/loss"
STAYS = Expected(0, 0.1, "few patterns")
"""An independent calculation of 24 to 40 draws has risks of 0.210, 0.166 and 0.170 at P = 15, 60 and 240."""
FALLS = Bound(-0.5, "below")
"""It has 0.102, 0.024 and 0.0088 with ω = 100, 1000 and 20 000: −1.0 and −0.7."""
SAME = Expected(1, 0.3, "spike of finite width")
"""It has 1.36 at P = 60 and 1.13 at P = 240."""
BETTER = Bound(5.0)
"""It has 7 at P = 60 and 19 at P = 240."""
CONDITION = Bound(2.3)
"""It has 0.485 over 0.0034 at P = 15. The ratio has a heavy tail, for patterns that happen to be close."""
SAYS = {
    "paper": PAPER,
    "needs": (LOSS,),
    "lacks": f"real labels with noise, activation={PLAIN} and activation={SPIKY}, one hidden layer, and "
    f"{SIZES[-1] * 2} patterns",
    "outcomes": ("converged", "t_end"),
    "across": KINDS,
    "quiet": True,
}


@dataclass(frozen=True)
class Kernels:
    """Kernels of infinite width of the two activations, and the patterns on which they are compared.

    Attributes:
        spiky: Θ∞ of any patterns, with a spike.
        plain: without.
        x: training patterns (P, d).
        y: their targets, with noise (P,).
        tests: (P_test, d).
        wanted: their targets, without noise (P_test,).
    """

    spiky: Between
    plain: Between
    x: Tensor
    y: Tensor
    tests: Tensor
    wanted: Tensor

    def parts(self, size: int) -> Iterator[slice]:
        """Parts of the training set that have no pattern in common."""
        for number in range(min(MOST, len(self.x) // size)):
            yield slice(number * size, (number + 1) * size)

    def risk(self, between: Between, part: slice, height: float = 0.0) -> float:
        """Mean square of F less the target without noise, with a ridge of some height, absolute."""
        x, k = self.x[part], between(self.x[part], None)
        ridge = height / float(k.diagonal().mean())
        found = kernel_regression(k[None], between(self.tests, x)[None], self.y[part], ridge=ridge)[0]
        return float((found - self.wanted).square().mean())

    @property
    def height(self) -> float:
        """What the spike adds to the diagonal, where both activations have one scale."""
        x = self.x[:1]
        return float(self.spiky(x, None) - self.plain(x, None))

    def least(self, between: Between, part: slice) -> float:
        """Smallest eigenvalue of the kernel."""
        return float(torch.linalg.eigvalsh(between(self.x[part], None))[0])


def kernels_of(table: pd.DataFrame) -> Kernels | None:
    """Those of the first run of each activation; None where one is missing, or the targets are no real ones."""
    runs: dict[str, Run] = {}
    for run in table.get("run", ()):
        if isinstance(run, Run):
            runs.setdefault(run.config.get("activation", {}).get("kind", ""), run)
    if not {SPIKY, PLAIN} <= set(runs) or "noise" not in runs[SPIKY].config.get("dataset", {}):
        return None
    try:
        (spiky, task, data), (plain, _, _) = (Bench().ready(runs[name], "infinite_ntk") for name in (SPIKY, PLAIN))
    except (FeatureLazyError, ValueError):
        return None
    if task.targets.dim() > 1 or len(data.x_train) < 2 * SIZES[-1]:
        return None
    x, tests = data.x_train.double(), data.x_test.double()
    return Kernels(spiky.between, plain.between, x, task.targets, tests, data.y_test.double())


def _slope(kernels: Kernels | None, between: Callable[[Kernels], Between]) -> Estimate | None:
    """Slope of ln of the mean risk over ln P."""
    if kernels is None:
        return None
    found = [[kernels.risk(between(kernels), part) for part in kernels.parts(size)] for size in SIZES]
    draws = min(map(len, found))

    def slope(weights: np.ndarray) -> np.ndarray:
        means = np.stack([weighted_mean(weights, np.array(risks[:draws])) for risks in found])
        return np.polyfit(np.log(SIZES), np.log(means), 1)[0]

    return estimate(slope, draws)


def _ratio(over: list[float], under: list[float]) -> Estimate:
    """Mean over mean, both over the same draws."""
    return estimate(lambda w: weighted_mean(w, np.array(over)) / weighted_mean(w, np.array(under)), len(over))


@law("excess risk of ReLU's kernel without ridge against P, exponent", expected=STAYS, where="without a spike", **SAYS)
def plain_against_size(table: pd.DataFrame) -> Estimate | None:
    """0: noise that is interpolated does not average out."""
    return _slope(kernels_of(table), lambda kernels: kernels.plain)


@law("excess risk of spiky ReLU's kernel without ridge against P, exponent", expected=FALLS, where="Theorem 8", **SAYS)
def spiky_against_size(table: pd.DataFrame) -> Estimate | None:
    """Below −½."""
    return _slope(kernels_of(table), lambda kernels: kernels.spiky)


@law("excess risk of spiky ReLU over that of ReLU with the spike as ridge", expected=SAME, where="Theorem 8", **SAYS)
def spike_is_ridge(table: pd.DataFrame) -> Estimate | None:
    """1, at the largest P: off the training patterns a spike is not seen."""
    kernels = kernels_of(table)
    if kernels is None:
        return None
    parts = list(kernels.parts(SIZES[-1]))
    height = kernels.height
    return _ratio(
        [kernels.risk(kernels.spiky, part) for part in parts],
        [kernels.risk(kernels.plain, part, height) for part in parts],
    )


@law("excess risk of ReLU over that of spiky ReLU, without ridge", expected=BETTER, where="with and without", **SAYS)
def spikes_help(table: pd.DataFrame) -> Estimate | None:
    """Above 5, at the largest P."""
    kernels = kernels_of(table)
    if kernels is None:
        return None
    parts = list(kernels.parts(SIZES[-1]))
    return _ratio(*([kernels.risk(one, part) for part in parts] for one in (kernels.plain, kernels.spiky)))


@law("ln of the least eigenvalue of spiky ReLU's kernel over ReLU's", expected=CONDITION, where="condition", **SAYS)
def condition(table: pd.DataFrame) -> Estimate | None:
    """Above ln 10 = 2.3, at the smallest P."""
    kernels = kernels_of(table)
    if kernels is None:
        return None
    parts = list(kernels.parts(SIZES[0]))
    return average(np.log([kernels.least(kernels.spiky, one) / kernels.least(kernels.plain, one) for one in parts]))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Excess risk over P of both kernels without ridge, and of ReLU's with the spike as ridge, for the atlas."""
    kernels = kernels_of(table)
    if kernels is None:
        return
    lines = (
        ("ReLU", kernels.plain, 0.0),
        ("spiky ReLU", kernels.spiky, 0.0),
        ("ReLU, ridge", kernels.plain, kernels.height),
    )
    for index, (name, between, height) in enumerate(lines):
        found = [[kernels.risk(between, part, height) for part in kernels.parts(size)] for size in SIZES]
        errors = [np.std(risks, ddof=1) / len(risks) ** 0.5 for risks in found]
        axes.errorbar(SIZES, list(map(np.mean, found)), errors, label=name, capsize=2, **look(index))
    axes.set(xscale="log", yscale="log", xlabel="training patterns P", ylabel="excess risk")
    axes.set_xticks(SIZES, map(str, SIZES), minor=False)
    axes.set_xticks([], minor=True)
    axes.legend()
