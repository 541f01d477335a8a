"""How kernels of networks that share weights go to their limits, and whether gradients are independent of weights."""

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from feature_lazy.core.errors import FeatureLazyError
from feature_lazy.networks.layout import Params
from feature_lazy.runs.batch import build
from feature_lazy.runs.reading import Run
from feature_lazy.settings.schema import from_plain
from feature_lazy.study.estimate import Estimate, estimate
from feature_lazy.study.exponents import at_start, start_slope
from feature_lazy.study.figures.scaling import against_width
from feature_lazy.study.law import law
from feature_lazy.study.limit_laws import AT_START, KERNEL
from feature_lazy.study.table import H
from feature_lazy.study.verdict import Expected
from feature_lazy.systems.weight_sharing import PAPER
from feature_lazy.systems.weight_sharing.rnn import Recurrent

SEEDS, PATTERNS = 100, 8
"""Networks and patterns of the widest runs whose signals are compared."""
OTHERS = 10_000
"""From here on seeds are of the independent copies."""
INDEPENDENT = Expected(1, 0.1, "finite h")
"""Both means are over 100 networks; an independent calculation has 0.99, 1.04, 1.006 at n = 100, 400, 1600."""
SAYS = {"paper": PAPER, "needs": (KERNEL,), "outcomes": ("converged", "t_end"), "quiet": True}
NO_MEANING = "two widths"


@law(
    "initial kernel of a recurrent network, last state, against its limit, in h",
    where="RNN",
    expected=AT_START,
    lacks=NO_MEANING,
    **SAYS,
)
def last_against_width(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−½, at t = 0."""
    return start_slope(table, KERNEL) if _is(table, "rnn", "last") else ()


@law(
    "initial kernel of a recurrent network, mean state, against its limit, in h",
    where="RNN",
    expected=AT_START,
    lacks=NO_MEANING,
    **SAYS,
)
def mean_against_width(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−½, at t = 0."""
    return start_slope(table, KERNEL) if _is(table, "rnn", "mean") else ()


@law(
    "initial kernel of attention against its limit, in h",
    where="transformer",
    expected=AT_START,
    lacks=NO_MEANING,
    **SAYS,
)
def attention_against_width(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """−½, at t = 0."""
    return start_slope(table, KERNEL) if _is(table, "attention") else ()


@law(
    "‖∂f/∂h_1‖² through the same weights, over that through independent ones",
    where="gradient independence",
    expected=INDEPENDENT,
    lacks="runs of architecture=rnn whose configuration can be built",
    **SAYS,
)
def independence(table: pd.DataFrame) -> Estimate | tuple[()] | None:
    """1, of the widest networks that read their last state, at the first token: all signals came by the weight."""
    if not _is(table, "rnn", "last"):
        return ()
    try:
        batch = build(from_plain(table.sort_values(H)["run"].iloc[-1].config))
    except FeatureLazyError:
        return None
    net, x = batch.architecture, batch.dataset.x_test[:PATTERNS].double().cpu()
    assert isinstance(net, Recurrent)
    pairs = np.array([norms(net, x, seed) for seed in range(SEEDS)])
    return estimate(lambda weights: (weights @ pairs[:, 0]) / (weights @ pairs[:, 1]), SEEDS)


def norms(net: Recurrent, x: Tensor, seed: int) -> tuple[float, float]:
    """‖∂f/∂h_1‖² of an initial network, a mean over patterns, and the same with another W¹ on the way back."""
    params, other = ({name: weight[None] for name, weight in net.init(one).items()} for one in (seed, seed + OTHERS))
    true, independent = (float(signal(net, params, x, back).square().sum(-1).mean()) for back in (params, other))
    return true, independent


def signal(net: Recurrent, params: Params, x: Tensor, back: Params) -> Tensor:
    """∂f/∂h_1 (M, P, n) of a network that reads its last state, which goes back through another W¹."""
    with torch.enable_grad():
        z = net.taps(params, x)[1][0].preactivations.detach()[..., 0]
        slopes = torch.func.grad(lambda at: net.activation(at).sum())(z)
    b = net.scale("W2") * params["W2"][:, :1] * slopes[..., -1]
    for t in reversed(range(net.tokens.number - 1)):
        b = slopes[..., t] * (b @ (net.scale("W1") * back["W1"]))
    return b


def _is(table: pd.DataFrame, kind: str, readout: str | None = None) -> bool:
    """Whether runs are of such a network."""
    run = table["run"].iloc[0] if len(table) and "run" in table else None
    network = run.config.get("architecture", {}) if isinstance(run, Run) else {}
    return network.get("kind") == kind and readout in (None, network.get("readout"))


def draw(axes: Axes, table: pd.DataFrame) -> None:
    """The distance of kernels from their limits against h, for the atlas."""
    networks = [run.config["architecture"] for run in table["run"]]
    names = [" ".join([one["kind"], *([one["readout"]] if "readout" in one else [])]) for one in networks]
    begun = at_start(table, KERNEL).assign(network=names)
    against_width(axes, begun, "start", "initial kernel: ‖Θ₀ − Θ∞‖/‖Θ∞‖", AT_START.value, by="network")
