"""How far a prefix and its kernel go with its length, and how well sums over a prefix take its place."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import ConfigError, FeatureLazyError
from feature_lazy.kernels.first_order import push_forward
from feature_lazy.networks.layout import Params
from feature_lazy.runs.network import stored_network
from feature_lazy.runs.reading import Run
from feature_lazy.study.estimate import Estimate, average
from feature_lazy.study.exponents import width_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import law
from feature_lazy.study.table import H
from feature_lazy.study.verdict import ABOVE_ZERO, Bound, Expected
from feature_lazy.systems.infinite_prefix import PAPER
from feature_lazy.systems.infinite_prefix.features import count
from feature_lazy.systems.infinite_prefix.network import NtkAttention, Prefix, like
from feature_lazy.systems.infinite_prefix.option import MOST

WEIGHTS, KERNEL = "weights/W0/change", "kernel/change"
ALL = (0.0, np.inf)
DEGREE = 8
"""Of the monomials that stand for the exponential."""
SETTLED, ROUNDS = 1e-6, 100
"""Z and k are fit until a round brings less of the squared error, relative, or for so many rounds."""
LAZY = Expected(-0.5, 0.1, "finite m")
"""‖w₀‖ grows as √m, and labels are fit by ‖w − w₀‖² = yᵀΘ⁻¹y/α², of order 1. At finite m Θ is a mean over m e^{−4/τ²}
vectors that count, so that its inverse is too large by P/md e^{4/τ²}, a few hundredths for the shortest prefix of the
sweep; and it grows while it learns, which saves as much of the way. Over a factor of 16 in m either moves the exponent
by up to 0.05; an independent calculation has −0.55 ± 0.013 at τ = 1/0.6, and −0.59 ± 0.05 at τ = 1."""
FALLS = Bound(0, "below")
"""Θ is even in the signs a and the way is odd in them, so that orders 1/αm and 1/α²m are left, the exponent −1; how
soon depends on how few vectors count: an independent calculation has −0.37 ± 0.03 at τ = 1/0.6."""
SERIES = Bound(0.05, "below")
"""It goes to 0 with the degree; at 8 an independent calculation has 0.027 for Gaussian queries and keys at τ = 1, and
6e-5 for keys of 0.6 times their size. At degree 0 it is 0.6 and 0.7."""
SAYS = {"paper": PAPER, "outcomes": ("converged", "t_end"), "quiet": True}
STYLISED = "two widths of form=stylised at one α"
STORED = "runs of form=tokens with observe.weights=ends, and tokens of 8 numbers or so"


@law(
    "weight change of the prefix at fixed α, against m",
    where="section 3, convergence",
    needs=(WEIGHTS,),
    expected=LAZY,
    lacks=STYLISED,
    **SAYS,
)
def weights(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−½: the longer the prefix, the less each vector moves."""
    return width_slope(table, WEIGHTS, ALL, fixed="alpha") if _form(table) == "stylised" else ()


@law(
    "kernel change at fixed α, against m",
    where="section 3, convergence",
    needs=(KERNEL,),
    expected=FALLS,
    lacks=STYLISED,
    **SAYS,
)
def kernel(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """Below 0."""
    return width_slope(table, KERNEL, ALL, fixed="alpha") if _form(table) == "stylised" else ()


@law(
    f"NTK-Attention with monomials up to degree {DEGREE} less a trained prefix, over what the prefix does",
    where="NTK-Attention",
    needs=(WEIGHTS,),
    expected=SERIES,
    lacks=STORED,
    **SAYS,
)
def series(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """Below 0.05 on the test set's tokens, of the longest prefixes."""
    if _form(table) != "tokens":
        return ()
    found = _of_runs(table, table[H].max(), lambda net, params, _, test: error(net, params, test, DEGREE))
    return None if found is None else average(found)


@law(
    "part of a trained prefix that Z and k of elu + 1 miss, shortest prefix less longest",
    where="NTK-Attention",
    needs=(WEIGHTS,),
    expected=ABOVE_ZERO,
    lacks=f"{STORED}, two widths",
    **SAYS,
)
def approximate(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """Above 0, on the test set's tokens: what Z and k miss falls as the prefix grows."""
    if _form(table) != "tokens":
        return ()
    short, long = (_of_runs(table, m, missed) for m in (table[H].min(), table[H].max()))
    if short is None or long is None or len(short) != len(long) or table[H].nunique() < 2:
        return None
    return average(short - long)


def error(net: Prefix, params: Params, x: Tensor, degree: int) -> float:
    """‖NTK-Attention − attention with a prefix‖/‖attention without it − with it‖ on tokens of patterns x (P, d).

    Raises:
        ConfigError: tokens of too many numbers for monomials of this degree.
    """
    if (r := count(net.tokens.size, degree)) > MOST:
        raise ConfigError(
            f"Tokens of {net.tokens.size} numbers have {r} monomials, more than {MOST}; use smaller ones."
        )
    exact, ntk = net.attend(params, x), like(net, NtkAttention, degree=degree)
    return float((ntk.attend(ntk.sums(params), x) - exact).norm() / (net.alone(params, x) - exact).norm())


def missed(net: Prefix, params: Params, train: Tensor, test: Tensor) -> float:
    """Squared error of NTK-Attention with elu + 1 over that of no prefix, on tokens of test patterns (P_test, d).

    Z and k of one member are fit by least squares to attention with its prefix on training patterns (P, d), from the
    sums over the prefix on.
    """
    from scipy.optimize import least_squares

    ntk = like(net, NtkAttention)
    begun, exact = ntk.sums(params), net.attend(params, train)
    own = {name: begun[name] for name in ("W0", "W1")}
    sizes = [weight.numel() for weight in own.values()]

    def away(flat: Tensor) -> Tensor:
        parts = zip(own.items(), flat.split(sizes), strict=True)
        trained = {name: part.view_as(weight) for (name, weight), part in parts}
        return (ntk.attend({**begun, **trained}, train) - exact).flatten()

    def slopes(flat: Tensor) -> Tensor:
        with torch.enable_grad():
            w = flat.clone().requires_grad_()
            return push_forward(away(w), w, torch.eye(len(w)).to(w), batched=True).mT

    fit = least_squares(
        lambda flat: away(torch.from_numpy(flat)).numpy(),
        torch.cat([weight.flatten() for weight in own.values()]).numpy(),
        lambda flat: slopes(torch.from_numpy(flat)).numpy(),
        method="lm",
        x_scale="jac",
        ftol=SETTLED,
        max_nfev=ROUNDS,
    )
    z, k = torch.from_numpy(fit.x).split(sizes)
    ends = {**begun, "W0": z.view_as(begun["W0"]), "W1": k.view_as(begun["W1"])}
    exact = net.attend(params, test)
    return float((ntk.attend(ends, test) - exact).norm() / (net.alone(params, test) - exact).norm()) ** 2


def _of_runs(
    table: pd.DataFrame, m: float, measure: Callable[[Prefix, Params, Tensor, Tensor], float]
) -> np.ndarray | None:
    """What is measured of each run of a width, by seed, with its weights at the end; None where that cannot be."""
    found = []
    for run in table[table[H] == m].sort_values("seed")["run"]:
        try:
            stored = stored_network(run)
            net, data = stored.architecture, stored.data
            assert isinstance(net, Prefix)
            found.append(measure(net, net.layout.unflatten(stored.weights()), data.x_train, data.x_test))
        except FeatureLazyError:
            return None
    return np.array(found)


def _form(table: pd.DataFrame) -> str:
    """Of the runs' network; empty where it is none with a prefix."""
    run = table["run"].iloc[0] if len(table) and "run" in table else None
    network = run.config.get("architecture", {}) if isinstance(run, Run) else {}
    return network.get("form", "stylised") if network.get("kind") == "prefix" else ""


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The change of weights and of the kernel against m, for the atlas."""
    stylised = table[[run.config["architecture"].get("form", "stylised") == "stylised" for run in table["run"]]]
    lines = {"kernel, ‖Θ − Θ₀‖/‖Θ₀‖": KERNEL, "prefix, ‖w − w₀‖/‖w₀‖": WEIGHTS}
    both = pd.concat([stylised.assign(of=name, change=stylised[column]) for name, column in lines.items()])
    against_width(axes, both, "change", "change by training", LAZY.value, by="of")
    axes.set(xlabel="vectors in the prefix, h = m")
