"""Kernels that learn beside networks that do: how far ν lets them go, and how well both are aligned with the labels."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.kernels import cka
from feature_lazy.kernels.deep_machine import Machine
from feature_lazy.networks.limits.limit import output_covariance
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.reading import Run
from feature_lazy.study.baselines.compute import Bench
from feature_lazy.study.baselines.dkm import DeepKernelMachine
from feature_lazy.study.baselines.kernels import KernelSet
from feature_lazy.study.baselines.stored import of
from feature_lazy.study.estimate import Estimate, unless_refused
from feature_lazy.study.figures.style import SQRT_H_ALPHA, look
from feature_lazy.study.law import KINDS, law
from feature_lazy.study.splits import firsts, mean_of_splits, over_each, over_splits, splits, with_weights
from feature_lazy.study.table import X
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.deep_kernel_machines import PAPER

CHANGE, KERNEL = "weights/change", "infinite_nngp"
MOST = 300
"""Training patterns of a machine: its time goes as their cube."""
LARGE = (1e3, 1e4, 1e5)
"""ν at which little is learnt."""
STEPS = (1000.0, 100.0, 10.0, 1.0)
"""ν from hardly any to much that is learnt."""
SLOPE = Expected(-1, 0.1, "finite ν")
"""First order in 1/ν; an independent calculation (digits, ten classes, P = 40) has −0.97 from 1e2 to 1e4."""
ENDED = ("converged", "t_end", "stationary")
SAYS = {"paper": PAPER, "needs": (CHANGE,), "outcomes": ENDED, "across": KINDS, "quiet": True}
LACKS = (
    "two splits of up to 300 training patterns with weights (observe.weights=ends), of fully connected networks of two "
    "hidden layers or more whose activation has a kernel in closed form"
)
NETWORKS = f"two values of √h·α, and {LACKS}"


@law("‖G_L − NNGP‖/‖NNGP‖ against ν, exponent", expected=SLOPE, lacks=LACKS, **SAYS)
def against_nu(table: pd.DataFrame) -> Estimate | None:
    """−1: to first order what is learnt is the labels' pull over ν."""

    def slope(run: Run) -> float:
        return float(np.polyfit(np.log(LARGE), np.log([machine(run, nu).changes[-1] for nu in LARGE]), 1)[0])

    return _over_splits(table, slope)


@law("alignment of the kernel with the labels, least rise as ν falls by ten", expected=ABOVE_ZERO, lacks=LACKS, **SAYS)
def aligned(table: pd.DataFrame) -> Estimate | None:
    """Above 0, over ν = 1000, 100, 10 and 1: centred alignment of K(G_L) with yyᵀ on the training set."""
    return _over_splits(table, lambda run: float(np.diff([_alignment(run, nu) for nu in STEPS]).min()))


@law("alignment of features with the labels, smallest √hα less largest", expected=ABOVE_ZERO, lacks=NETWORKS, **SAYS)
def networks_aligned(table: pd.DataFrame) -> Estimate | None:
    """Above 0: networks do so as √hα falls. Of the last hidden layer, at the end, on the training set."""
    return _lazy_to_feature(table, lambda run: -labelled(run, features(run)))


@law("log₁₀ of the ν most like the features, largest √hα less smallest", expected=Bound(0.5), lacks=NETWORKS, **SAYS)
def alike(table: pd.DataFrame) -> Estimate | None:
    """Above ½: the kernel that is most like the features of lazy networks has learnt less than that of others."""

    def nearest(run: Run) -> float:
        theirs = features(run)
        return float(np.log10(max(STEPS, key=lambda nu: float(cka(machine(run, nu).kernel, theirs)))))

    return _lazy_to_feature(table, nearest)


def machine(run: Run, nu: float) -> Machine:
    """What is learnt at ν on the training set of a run, the same for all α, widths and seeds.

    Raises:
        FeatureLazyError: a network without such layers, or that this cannot be done for.
        ValueError: as ``DeepKernelMachine.machine``.
    """
    return _machine(_key(run), nu)


class _Key:
    """A run, equal to all that share its data and the kernel of infinite width."""

    def __init__(self, name: str, run: Run) -> None:
        self.name, self.run = name, run

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.name == other.name


def _key(run: Run) -> _Key:
    return _Key(of(run.config, KERNEL), run)


@lru_cache(maxsize=64)
def _ready(key: _Key) -> tuple[KernelSet, Tensor]:
    """Σ∞, and what is aimed at."""
    kernels, task, _ = Bench().ready(key.run, KERNEL)
    return kernels, task.targets


@lru_cache(maxsize=256)
def _machine(key: _Key, nu: float) -> Machine:
    return DeepKernelMachine(nu=nu).machine(*_ready(key))


def features(run: Run) -> Tensor:
    """The kernel of the last hidden layer of a run at its end, on the training set: (P, P).

    Raises:
        FeatureLazyError: no weights, or a network without layers.
    """
    network = stored_network(run)
    params = network.architecture.layout.unflatten(network.weights())
    return output_covariance(network.architecture, params, network.data.x_train)[0].double()


def labelled(run: Run, kernel: Tensor) -> float:
    """Centred alignment of a kernel on the training set with that of the labels, yyᵀ."""
    y = _ready(_key(run))[1].reshape(len(kernel), -1)
    return float(cka(kernel, y @ y.mT))


def _alignment(run: Run, nu: float) -> float:
    return labelled(run, machine(run, nu).kernel)


def _over_splits(table: pd.DataFrame, value: Callable[[Run], float]) -> Estimate | None:
    """Mean of what runs of a split have in common, from one run of each."""
    return unless_refused(lambda: over_splits(firsts(_mine(table)), value))


def _lazy_to_feature(table: pd.DataFrame, value: Callable[[Run], float]) -> Estimate | None:
    """Mean at the largest √h·α less that at the smallest, split by split."""
    table = _mine(table)
    if table[X].nunique() < 2 or splits(table).nunique() < 2:
        return None
    ends = [table[table[X] == edge] for edge in (table[X].max(), table[X].min())]
    if len({tuple(sorted(splits(end).unique())) for end in ends}) > 1:
        return None
    return unless_refused(lambda: mean_of_splits(over_each(ends[0], value) - over_each(ends[1], value)))


def _mine(table: pd.DataFrame) -> pd.DataFrame:
    """Runs with weights, and few enough patterns that a machine takes seconds: of other sweeps nothing is computed."""
    return with_weights(table[table["P"] <= MOST])


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """Alignment against ν beside alignment against √h·α, for the atlas."""
    found = [over_each(firsts(table), lambda run, nu=nu: _alignment(run, nu)) for nu in STEPS]
    _line(axes, STEPS, found, 0, "kernel that learns, against ν")
    other = axes.twiny()
    xs = sorted(table[X].unique())
    _line(other, xs, [over_each(table[table[X] == x], lambda run: labelled(run, features(run))) for x in xs], 1, "")
    axes.plot([], [], label=f"features of networks, against {SQRT_H_ALPHA}", **look(1))
    axes.set(xscale="log", xlabel="ν", ylabel="alignment with the labels")
    other.set(xscale="log", xlabel=SQRT_H_ALPHA)
    other.grid(visible=False)
    axes.legend()


def _line(axes: Axes, xs: "list[float] | tuple[float, ...]", each: list[np.ndarray], index: int, label: str) -> None:
    means, sems = ([function(one) for one in each] for function in (np.mean, lambda a: a.std(ddof=1) / len(a) ** 0.5))
    axes.errorbar(xs, means, sems, capsize=2, label=label, **look(index))
