"""How an equilibrium goes to its limits of width and of depth, and how far from Gaussian its outputs begin."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.networks.limits.limit import output_covariance
from feature_lazy.runs.batch import build
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.estimate import Estimate, estimate
from feature_lazy.study.exponents import at_start, start_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import law
from feature_lazy.study.limit_laws import AT_START, COVARIANCE
from feature_lazy.study.limit_laws import KERNEL as DEVIATION
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Bound, Expected
from feature_lazy.systems.deep_equilibrium import PAPER
from feature_lazy.systems.deep_equilibrium.network import DeepEquilibrium

PATTERNS, GROUPS = 12, 4
"""Test patterns that laws on initial weights are measured on, and the parts that they are cut into for an error."""
DEPTHS, SEEDS = (1, 2, 4, 8), 16
WIDTHS, DRAWS, AT_ONCE = (16, 32, 64, 128), 400, 100
"""Networks whose outputs are compared with Gaussian ones, of each width, and how many are made at once."""
LOOSE = 1e-8
"""Tolerance of their solver: what is measured on them is known to some percent."""
TAILS = Expected(-1, 0.1, "finite h")
"""The excess is O(1/h) at fixed depth; an independent calculation has −1.06 ± 0.04 (h = 16 … 128)."""
COMMUTES = Expected(0, 0.1, "what layers pass on")
"""A layer passes on a share r of the error of the last: 1/(1 − r) of the first layer's at most, which for r = 0.13, as
an independent calculation has it at σ_w = 0.6, is an exponent of 0.07 over 8 layers; errors that add up have ½ or more.
"""
SAYS = {"paper": PAPER, "needs": (DEVIATION,), "outcomes": ("converged", "t_end"), "quiet": True}
LACKS = "networks of architecture=deq architecture.depth=0"


def widest_of(table: pd.DataFrame) -> Run | None:
    """The widest run; None if it is of no equilibrium."""
    widest = table.sort_values(H)["run"].iloc[-1] if len(table) and "run" in table else None
    network = widest.config.get("architecture", {}) if isinstance(widest, Run) else {}
    return widest if network.get("kind") == "deq" and not network.get("depth") else None


def network_of(table: pd.DataFrame) -> tuple[DeepEquilibrium, Tensor] | None:
    """The equilibrium of the widest runs, and test patterns; None if runs are of no equilibrium."""
    if (widest := widest_of(table)) is None:
        return None
    try:
        batch = build(from_plain(widest.config))
    except FeatureLazyError:
        return None
    net, x = batch.architecture, batch.dataset.x_test[:PATTERNS]
    return (net, x.double().cpu()) if isinstance(net, DeepEquilibrium) else None


def covariance(net: DeepEquilibrium, x: Tensor, seeds: Sequence[int]) -> Tensor:
    """The covariance of outputs at the initial weights of some seeds, given all of them but the last."""
    drawn = [net.init(seed) for seed in seeds]
    return output_covariance(net, {name: torch.stack([one[name] for one in drawn]) for name in net.layout.shapes}, x)


@law(
    "initial kernel of an equilibrium against its limit, in h",
    where="arXiv:2310.14062",
    expected=AT_START,
    lacks="two widths",
    **SAYS,
)
def kernel_against_width(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−½, at t = 0."""
    return () if widest_of(table) is None else start_slope(table, DEVIATION)


@law(
    "initial covariance of an equilibrium's outputs against its limit, in h",
    where="Gaussian process of infinite depth and width",
    expected=AT_START,
    lacks="two widths",
    **{**SAYS, "needs": (COVARIANCE,)},
)
def covariance_against_width(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−½, at t = 0."""
    return () if widest_of(table) is None else start_slope(table, COVARIANCE)


@law(
    "what a layer leaves of the distance from the equilibrium, over (σ_w·Lip)²",
    where="limits of depth and width",
    expected=Bound(1.0, "below"),
    lacks=LACKS,
    **SAYS,
)
def truncation(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """Below 1, for ‖Σ_L − Σ‖ of infinite width from L = 1 on: S is a contraction of this factor."""
    found = network_of(table)
    if found is None:
        return ()
    net, x = found
    bound = (net.sigmas[0] * net.activation.lipschitz) ** 2
    factors = [rate(net, part) / bound for part in x.chunk(GROUPS)]
    return estimate(lambda weights: weights @ np.array(factors) / weights.sum(1), len(factors))


def rate(net: DeepEquilibrium, x: Tensor) -> float:
    """Factor by which ‖Σ_L − Σ‖ of infinite width falls with a layer, from a line through its logarithm."""
    whole = net.limit(x).nngp
    far = [float((replace(net, depth=depth).limit(x).nngp - whole).norm()) for depth in DEPTHS[:3]]
    return float(np.exp(np.polyfit(DEPTHS[:3], np.log(far), 1)[0]))


@law(
    "distance from the limit of width, against the number of layers",
    where="limits of depth and width",
    expected=COMMUTES,
    lacks=LACKS,
    **SAYS,
)
def commuting(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """Exponent 0 of ‖Σ_{h,L} − Σ_L‖/‖Σ_L‖ in L = 1 … 8, at the largest width: neither limit waits for the other."""
    found = network_of(table)
    if found is None:
        return ()
    net, x = found
    values = np.stack([_deviations(replace(net, depth=depth), x) for depth in DEPTHS])
    return _slope(np.log(DEPTHS), lambda weights: np.log(weights @ values.T), SEEDS)


def _deviations(net: DeepEquilibrium, x: Tensor) -> np.ndarray:
    """‖Σ_{h,L} − Σ_L‖/‖Σ_L‖ of some seeds."""
    limit = net.limit(x).nngp
    return ((covariance(net, x, range(SEEDS)) - limit).norm(dim=(1, 2)) / limit.norm()).numpy()


@law(
    "excess kurtosis of initial outputs at infinite depth, against h",
    where="Gaussian process at finite width",
    expected=TAILS,
    lacks=LACKS,
    **SAYS,
)
def kurtosis_against_width(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−1: 3 Var g/(E g)² over seeds, g the variance of f given all weights but the last, which f itself would blur."""
    found = network_of(table)
    if found is None:
        return ()
    net, x = found
    solver = replace(net.solver, tol=LOOSE)
    drawn = [_variances(replace(net, width=h, solver=solver), x) for h in WIDTHS]

    def excess(weights: np.ndarray) -> np.ndarray:
        share = weights / weights.sum(1, keepdims=True)
        moments = [(share @ g, share @ g**2) for g in drawn]
        return np.log(np.stack([(3 * (square / mean**2 - 1)).mean(1) for mean, square in moments], 1))

    return _slope(np.log(WIDTHS), excess, DRAWS)


def _variances(net: DeepEquilibrium, x: Tensor) -> np.ndarray:
    """g of each pattern, for networks of many seeds: (seeds, patterns)."""
    parts = [range(start, start + AT_ONCE) for start in range(0, DRAWS, AT_ONCE)]
    return torch.cat([covariance(net, x, seeds).diagonal(dim1=1, dim2=2) for seeds in parts]).numpy()


def _slope(u: np.ndarray, values: Callable[[np.ndarray], np.ndarray], seeds: int) -> Estimate:
    """Slope over u (n,) of what weights of seeds (B, seeds) make, (B, n)."""
    centred = u - u.mean()
    return estimate(lambda weights: values(weights) @ centred / (centred @ centred), seeds)


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The distance of the kernel from its limit against h, for the atlas."""
    against_width(axes, at_start(table, DEVIATION), "start", "initial kernel: ‖Θ₀ − Θ∞‖/‖Θ∞‖", AT_START.value)
