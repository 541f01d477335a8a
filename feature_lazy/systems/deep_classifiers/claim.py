"""What infinitely wide and deep networks are on the sphere: kernels of many layers, on the data of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from feature_lazy.networks.activations import Scaled, scaled
from feature_lazy.networks.limits.dual import expectations
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.baselines.base import Baseline, Task
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.hilbert import Hilbert
from feature_lazy.study.baselines.kernels import KernelSet
from feature_lazy.study.baselines.krr import RidgeRegression
from feature_lazy.study.baselines.majority import Majority
from feature_lazy.study.baselines.nearest import Nearest
from feature_lazy.study.estimate import Estimate, average_over
from feature_lazy.study.figures.style import look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.deep_classifiers import PAPER
from feature_lazy.systems.deep_classifiers.data import Dirichlet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEEP, DEEPEST, SQUARED = 60, 4000, 9
"""Layers of which a singular kernel, a majority vote and a nearest neighbour are judged. Off the diagonal the first
falls as Ǎ′(0)^L; the vote is neared slowly, as kernels of ReLU are; and of ξ² a few layers more would underflow."""
FEW, PARTS, VOTES, TESTS = 51, 4, 2, 100
"""Patterns of a part, an odd number so that no vote is tied; parts of a training set, fewer where there are thousands
of layers; and test patterns beside those."""
RIDGE = 1e-8
"""Over the mean diagonal: near the corners of a simplex patterns are equal up to rounding, and kernels singular."""
SHARE = 8
"""What part of the training set few patterns are."""
TOLERANCE = 1e-10
"""Of series, for activations without closed forms."""
SINGULAR, VOTE, NEIGHBOUR = "singular", "majority", "nearest"
ONE = Expected(1, 0.02, "log-periodic")
"""Around its power law a singular kernel swings a little in ln ‖x − x′‖. An independent calculation has −0.500, −1.000,
−2.001 and −0.593 for −o of ½, 1, 2 and 0.593."""
SAME = Bound(0.99)
"""It has 0.998 to 0.999 with Hilbert's estimate, and 1.00 with the majority at L = 4000 (0.99 at 1000)."""
NEAR = Bound(0.98)
"""It has 0.995 on one draw; two neighbours that are as near are told apart by more layers than numbers last for."""
DRAWN = 3
"""Splits of which the picture is the mean."""
ALL = slice(None)
EQUAL = 1e-3
"""How near 2o is to m where they are equal: values of a for sin(√a z) are given in five digits."""
ANGLES, POWER = (-4, -2, 41), 200
"""lg of the least and the largest angle between patterns at which an exponent is taken, and how many; and the layers
that it needs, for slopes Ǎ′(1) near 1 to make 1 of the least 1 − x·x′ and those Ǎ′(0) to be all that is left then."""
SAYS = {"paper": PAPER, "across": KINDS, "outcomes": ("converged", "t_end"), "quiet": True}
LACKS = "runs of two splits on dataset=dirichlet with labels=parity, loss=mse, no biases, and"


_ready: dict[tuple[Path, str], tuple[KernelSet, Task]] = {}
_predicted: dict[tuple[Path, str, str, str, str], np.ndarray] = {}
"""What laws ask for more than once."""


@dataclass(frozen=True)
class Taxonomy:
    """What depth makes of an activation with E φ² = 1, by its dual Ǎ on [−1, 1].

    Attributes:
        zero: Ǎ(0).
        slope: Ǎ′(0).
        steep: Ǎ′(1).
    """

    zero: float
    slope: float
    steep: float

    @classmethod
    def of(cls, activation: Scaled) -> Taxonomy:
        """By closed forms or series."""
        rule, at = expectations(activation, TOLERANCE), torch.tensor([[0.0, 1.0]], dtype=torch.float64)
        both = rule.marginals(torch.ones_like(at[0]))
        values, slopes = rule.joint(both.of(slice(1)), both, at)
        return cls(float(values[0, 0]), *slopes[0].tolist())

    @property
    def kind(self) -> str:
        """``majority``, ``nearest`` or ``singular`` (Theorems 1 and 2)."""
        if self.zero > TOLERANCE:
            return VOTE
        return SINGULAR if self.slope > TOLERANCE else NEIGHBOUR

    @property
    def exponent(self) -> float:
        """o of the singular kernel ψ ~ ‖x − x′‖^−2o; NaN of the other kinds."""
        return float("nan") if self.kind != SINGULAR else float(-np.log(self.slope) / np.log(self.steep))


@dataclass(frozen=True)
class Deep:
    """A run on the sphere whose activation has a dual, and the kernels of many layers on its data.

    Attributes:
        run: the run.
        data: the law of its data.
        taxonomy: what depth makes of its activation.
    """

    run: Run
    data: Dirichlet
    taxonomy: Taxonomy

    @classmethod
    def of(cls, run: Run) -> Deep | None:
        """None of a run that is not on such data, or not of such networks."""
        groups = ("dataset", "labels", "loss", "architecture")
        kinds = [run.config.get(group, {}).get("kind") for group in groups]
        biased = run.config.get("architecture", {}).get("bias") or run.config.get("architecture", {}).get("bias_std")
        if kinds != ["dirichlet", "parity", "mse", "fully_connected"] or biased:
            return None
        config = from_plain(run.config)
        assert isinstance(config.dataset, Dirichlet)
        return cls(run, config.dataset, Taxonomy.of(scaled(config.activation)))

    @property
    def m(self) -> int:
        """Dimension of the sphere."""
        return self.data.dim - 1

    @property
    def consistent(self) -> bool:
        """Whether the deep network is Bayes optimal: singular, and o = m/2."""
        return abs(2 * self.taxonomy.exponent - self.m) < EQUAL

    def ready(self, kernel: str) -> tuple[KernelSet, Task]:
        """A kernel on the data of the run, and what is learnt."""
        if (self.run.path, kernel) not in _ready:
            _ready[self.run.path, kernel] = Bench().ready(self.run, kernel)[:2]
        return _ready[self.run.path, kernel]

    def predicted(self, baseline: Baseline, kernel: str, part: slice = ALL, tests: slice = ALL) -> np.ndarray:
        """F of a baseline on a kernel, learnt from a part of the training set, on a part of the test set."""
        key = (self.run.path, repr(baseline), kernel, repr(part), repr(tests))
        if key not in _predicted:
            kernels, task = self.ready(kernel)
            kernels = replace(kernels, x_train=kernels.x_train[part], x_test=kernels.x_test[tests])
            task = replace(task, targets=task.targets[part], labels=task.labels[part])
            _predicted[key] = baseline.fit(kernels, task).F_test.numpy()
        return _predicted[key]

    def network(self, kernel: str = f"infinite_nngp@{DEEP}", part: slice = ALL, tests: slice = ALL) -> np.ndarray:
        """F of the infinitely wide network that fits its training set, of ``kernel``'s layers."""
        return self.predicted(RidgeRegression(ridge=RIDGE), kernel, part, tests)

    def error(self, f: np.ndarray) -> float:
        """Share of test patterns that a predictor F has wrong."""
        return float((f * self.run.outputs["y_test"] <= 0).mean())

    @property
    def swing(self) -> float:
        """Exponent of the deep NNGP kernel in ‖x − x′‖ over −2o, between two patterns on a circle of the sphere."""
        near = torch.logspace(*ANGLES, dtype=torch.float64)
        x = torch.zeros(len(near), self.data.dim, dtype=torch.float64)
        x[:, 0], x[:, 1] = near.cos(), near.sin()
        x = x * self.data.dim**0.5
        pole = torch.eye(self.data.dim, dtype=torch.float64)[:1] * self.data.dim**0.5
        kernels = self.ready(f"infinite_nngp@{POWER}")[0]
        psi = kernels.between(pole, x)[0]
        slope = np.polyfit((2 * (near / 2).sin()).log().numpy(), psi.log().numpy(), 1)[0]
        return float(slope / (-2 * self.taxonomy.exponent))

    def over_parts(self, size: int, value: Callable[[slice], float], count: int = PARTS) -> float:
        """Mean over some parts of the training set of a size."""
        return float(np.mean([value(slice(i * size, (i + 1) * size)) for i in range(count)]))


def agreement(f: np.ndarray, g: np.ndarray) -> float:
    """Share of patterns on which two predictors are of one sign; NaN where a kernel has underflown, so that F is 0."""
    return float((f * g > 0).mean()) if (f != 0).all() else float("nan")


def deep(table: pd.DataFrame) -> list[Deep]:
    """Runs of a table that the laws speak of, one of each network and split."""
    found: dict[str, Deep] = {}
    for run in table.get("run", ()):
        if isinstance(run, Run) and (one := Deep.of(run)):
            found.setdefault(repr([run.config[group] for group in ("dataset", "activation")]), one)
    return list(found.values())


@law(
    "exponent of a deep kernel in ‖x − x′‖ over −2o",
    where="Theorem 2",
    expected=ONE,
    lacks=f"{LACKS} two activations with Ǎ(0) = 0 < Ǎ′(0)",
    **SAYS,
)
def singular(table: pd.DataFrame) -> Estimate | None:
    """1, over activations, with o = −ln Ǎ′(0)/ln Ǎ′(1)."""
    kinds = {repr(one.run.config["activation"]): one for one in deep(table) if one.taxonomy.kind == SINGULAR}
    return average_over(list(kinds.values()), lambda one: one.swing)


@law(
    "agreement of the deep network with Hilbert's estimate, o = m/2",
    where="Theorem 3",
    expected=SAME,
    lacks=f"{LACKS} an activation with o = m/2",
    **SAYS,
)
def like_hilbert(table: pd.DataFrame) -> Estimate | None:
    """Above 0.99 of test patterns."""
    return average_over([one for one in deep(table) if one.consistent], hilbert)


@law(
    "agreement with Hilbert's estimate, o = m/2 less o ≠ m/2",
    where="Theorem 3",
    expected=ABOVE_ZERO,
    lacks=f"{LACKS} two activations, with o = m/2 and another o",
    **SAYS,
)
def unlike_hilbert(table: pd.DataFrame) -> Estimate | None:
    """Above 0, on the same splits."""
    runs = deep(table)
    right = {repr(one.run.config["dataset"]): one for one in runs if one.consistent}
    wrong = [one for one in runs if one.taxonomy.kind == SINGULAR and not one.consistent]
    paired = [one for one in wrong if repr(one.run.config["dataset"]) in right]
    return average_over(paired, lambda one: hilbert(right[repr(one.run.config["dataset"])]) - hilbert(one))


@law(
    "test error of the nearest neighbour less that of the deep network, o = m/2",
    where="Bayes optimality",
    expected=ABOVE_ZERO,
    lacks=f"{LACKS} an activation with o = m/2",
    **SAYS,
)
def ahead_of_nearest(table: pd.DataFrame) -> Estimate | None:
    """Above 0: the nearest neighbour is not consistent."""

    def gain(one: Deep) -> float:
        return one.error(one.predicted(Nearest(), "linear")) - one.error(one.network())

    return average_over([one for one in deep(table) if one.consistent], gain)


@law(
    f"test error of the deep network from P/{SHARE} patterns less that from P, o = m/2",
    where="Bayes optimality",
    expected=ABOVE_ZERO,
    lacks=f"{LACKS} an activation with o = m/2",
    **SAYS,
)
def learns(table: pd.DataFrame) -> Estimate | None:
    """Above 0: towards the Bayes error."""

    def gain(one: Deep) -> float:
        size = one.data.n_train // SHARE
        return one.over_parts(size, lambda part: one.error(one.network(part=part))) - one.error(one.network())

    return average_over([one for one in deep(table) if one.consistent], gain)


@law(
    f"agreement of the network of {DEEPEST} layers with the majority, Ǎ(0) > 0",
    where="Theorem 1",
    expected=SAME,
    lacks=f"{LACKS} an activation with Ǎ(0) > 0, such as relu",
    **SAYS,
)
def vote(table: pd.DataFrame) -> Estimate | None:
    """Above 0.99, of the tangent kernel, for parts of 51 patterns."""
    return average_over([one for one in deep(table) if one.taxonomy.kind == VOTE], lambda one: voted(one, DEEPEST))


@law(
    f"agreement of the network of {SQUARED} layers with the nearest neighbour, Ǎ(0) = Ǎ′(0) = 0",
    where="Theorem 1",
    expected=NEAR,
    lacks=f"{LACKS} an activation with Ǎ(0) = Ǎ′(0) = 0, such as hermite of [0,0,1]",
    **SAYS,
)
def neighbour(table: pd.DataFrame) -> Estimate | None:
    """Above 0.98, for parts of 51 patterns."""
    return average_over(
        [one for one in deep(table) if one.taxonomy.kind == NEIGHBOUR], lambda one: nearest(one, SQUARED)
    )


def hilbert(one: Deep, layers: int = DEEP) -> float:
    """Agreement of the NNGP kernel of some layers with Hilbert's estimate of the sphere's dimension."""
    network = one.network(f"infinite_nngp@{layers}")
    return agreement(network, one.predicted(Hilbert(power=float(one.m)), "linear"))


def voted(one: Deep, layers: int) -> float:
    """Agreement of the tangent kernel of some layers with the majority of parts of the training set."""
    some = slice(TESTS)
    return one.over_parts(
        FEW,
        lambda part: agreement(
            one.network(f"infinite_ntk@{layers}", part, some), one.predicted(Majority(), "linear", part, some)
        ),
        VOTES,
    )


def nearest(one: Deep, layers: int) -> float:
    """Agreement of the NNGP kernel of some layers with the nearest pattern of parts of the training set."""
    return one.over_parts(
        FEW,
        lambda part: agreement(one.network(f"infinite_nngp@{layers}", part), one.predicted(Nearest(), "linear", part)),
    )


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Agreement of networks of L layers on the sphere with what they become, for the atlas."""
    runs = [one for one in deep(table) if one.m > 1]
    lines: dict[str, tuple[list[Deep], tuple[int, ...], Callable[[Deep, int], float]]] = {
        "ReLU, majority": ([one for one in runs if one.taxonomy.kind == VOTE], (1, 10, 100, 1000), voted),
        "ξ², nearest": ([one for one in runs if one.taxonomy.kind == NEIGHBOUR], (1, 3, 6, SQUARED), nearest),
        "(ξ³ + ξ)/2, Hilbert": ([one for one in runs if one.consistent], (1, 3, 6, 10, 20, DEEP), hilbert),
    }
    for index, (name, (members, layers, value)) in enumerate(lines.items()):
        each = np.array([[value(one, L) for L in layers] for one in members[:DRAWN]])
        axes.plot(layers, each.mean(0), label=name, **look(index))
    axes.set(xscale="log", xlabel="hidden layers L", ylabel="agreement on test patterns")
    axes.legend()
