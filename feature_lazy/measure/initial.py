"""Initialisations of a fully connected network: what they have in common, and by how much they differ, against theory.

The kurtosis of outputs themselves has an error as large as its value. Given the last hidden layer the output is
Gaussian, of variance g, so that its excess kurtosis is 3 Var g/(E g)² over seeds, which is known far better.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import WORKING, chunk_size, chunks
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.base import Network
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.networks.layout import Params
from feature_lazy.networks.limits.fluctuations import Start, layers_at_start
from feature_lazy.networks.parametrisation import NTK

FEW = 200
"""Seeds below which Var g is not known: with an error of √(2/n), 10 %, at best."""
ERRORS, RESAMPLES = 4.0, 400
"""Standard errors that a number may be off by, and bootstrap samples behind them."""
ROUNDING = 1e-9
COPIES = 8
"""Copies of all weights that a second derivative holds."""


@dataclass(frozen=True)
class Initialisations:
    """One pattern at many initialisations.

    Attributes:
        variances: g of each layer from the first to the output's, given the layer before, (S, L + 1).
        kernel: Θ(x, x), (S,); None where it was not asked for.
        drift: ∇Θ·∇f/Θ^{3/2}, by which the kernel begins to move, (S,); likewise.
    """

    variances: np.ndarray
    kernel: np.ndarray | None = None
    drift: np.ndarray | None = None


@dataclass(frozen=True)
class Check:
    """A number of many initialisations, and what theory says of it.

    Attributes:
        name: what it is.
        measured: over seeds.
        error: its standard error, by bootstrap over seeds.
        expected: by theory; NaN where theory has its order alone.
        next: what theory leaves out, of the next order in 1/h.
        order: such as L/h, where ``expected`` is NaN.
    """

    name: str
    measured: float
    error: float
    expected: float
    next: float = 0.0
    order: float = math.nan

    @property
    def agrees(self) -> bool:
        """Whether they agree, as far as theory says a number."""
        allowed = ERRORS * self.error + self.next + ROUNDING * abs(self.expected)
        return math.isnan(self.expected) or abs(self.measured - self.expected) <= allowed


def checkable(network: Network) -> FullyConnected:
    """The network, if theory knows it.

    Raises:
        ConfigError: it does not.
    """
    if (
        not isinstance(network, FullyConnected)
        or network.parametrisation is not NTK
        or network.readout != "gaussian"
        or (network.bias and network.authors_output_bias)
    ):
        raise ConfigError(
            "theory is of architecture=fully_connected in parametrisation=ntk, with Gaussian weights of the output and "
            "without the authors' bias of it."
        )
    return network


def warnings(network: FullyConnected, seeds: int) -> Iterator[str]:
    """Sentences on what makes the numbers tell little."""
    depth, narrowest = len(network.widths), min(network.widths)
    if depth > narrowest:
        yield (
            f"L/h = {depth}/{narrowest} is above 1: the kurtosis is above 100 and made by few seeds, so that it cannot "
            "be estimated; use wider layers."
        )
    if seeds < FEW:
        yield f"seeds={seeds}: variances over so few are known to {math.sqrt(2 / seeds):.0%}; use {FEW} or more."


@torch.no_grad()
def initialisations(
    network: FullyConnected, x: Tensor, seeds: Sequence[int], *, kernel: bool = True, drift: bool = False
) -> Initialisations:
    """Measure a pattern at the initialisations of some seeds, in float64.

    Args:
        network: see ``checkable``; of several outputs the first.
        x: pattern (1, d).
        seeds: of the initialisations.
        kernel: whether Θ is measured too.
        drift: and its drift, of an activation without kinks.
    """
    x, layout = x.double().cpu(), network.layout
    size = chunk_size(len(seeds), COPIES * 8.0 * layout.size, WORKING)
    parts: list[list[Tensor]] = [[], [], []]
    for part in chunks(len(seeds), size):
        drawn = [network.init(seed) for seed in seeds[part]]
        params = {name: torch.stack([one[name] for one in drawn]) for name in layout.shapes}
        parts[0].append(_variances(network, params, x))
        if kernel:
            parts[1].append(tangent_kernel(network, params, x)[:, 0, 0])
        if drift:
            parts[2].append(_drift(network, params, x))
    return Initialisations(*(torch.cat(one).numpy() if one else None for one in parts))  # type: ignore[arg-type]


def _variances(network: FullyConnected, params: Params, x: Tensor) -> Tensor:
    """Variance of each layer's preactivations over its own weights, (M, L + 1)."""
    taps = [tap for tap in network.taps(params, x)[1] if tap.name.startswith("W")]
    found = [tap.scale**2 * tap.inputs.square().sum(-1).expand(len(params["W0"]), 1) for tap in taps]
    return torch.cat(found, 1) + (network.bias * network.bias_std) ** 2


def _drift(network: FullyConnected, params: Params, x: Tensor) -> Tensor:
    """∇Θ·∇f/Θ^{3/2} of the first output, (M,): ∇Θ = ∇|∇f|²."""
    with torch.enable_grad():
        leaves = {name: weight.requires_grad_() for name, weight in params.items()}
        f = network.apply(leaves, x)[:, 0].sum()
        slopes = torch.autograd.grad(f, [*leaves.values()], create_graph=True)
        theta = sum((slope.flatten(1).square().sum(1) for slope in slopes), torch.zeros(()))
        bends = torch.autograd.grad(theta.sum(), [*leaves.values()], materialize_grads=True)
    along = sum(((a * b).flatten(1).sum(1) for a, b in zip(bends, slopes, strict=True)), torch.zeros(()))
    return (along / theta**1.5).detach()


def checks(network: FullyConnected, x: Tensor, found: Initialisations) -> list[Check]:
    """Variances of all layers, kurtosis of the output, and of Θ mean, spread and drift, each with what theory says."""
    square = float(x.double().square().mean())
    rule = {"bias": network.bias, "bias_std": network.bias_std}
    theory = layers_at_start(network.activation, network.widths, square, **rule)
    return [
        *(_variance(layer, one, found.variances[:, layer]) for layer, one in enumerate(theory)),
        _check("excess kurtosis of f", kurtosis, found.variances[:, -1], theory[-1].kurtosis, _next(theory[-1]) * 3),
        *_kernels(found.kernel, theory[-1]),
        *_drifts(found.drift, len(network.widths) / min(network.widths)),
    ]


def _variance(layer: int, theory: Start, values: np.ndarray) -> Check:
    return _check(f"K of layer {layer + 1}", mean, values, theory.variance, _next(theory) * theory.variance)


def _next(theory: Start) -> float:
    return 0.0 if theory.exact else theory.spread**2


def _kernels(values: np.ndarray | None, theory: Start) -> list[Check]:
    if values is None:
        return []
    slack = 0.0 if theory.exact else theory.kernel * theory.kernel_spread
    return [
        _check("Θ(x, x)", mean, values, theory.kernel, slack),
        _check("Var Θ/(E Θ)²", spread, values, theory.kernel_spread, theory.kernel_spread**2),
    ]


def _drifts(values: np.ndarray | None, order: float) -> list[Check]:
    if values is None:
        return []
    size = Check("rms of ∇Θ·∇f/Θ^{3/2}", *_with_error(rms, values), math.nan, order=order)
    return [_check("mean of ∇Θ·∇f/Θ^{3/2}", mean, values, 0.0), size]


Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Of weights of seeds (B, S) and values (S,): (B,)."""


def mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Σwv/Σw."""
    return weights @ values / weights.sum(1)


def spread(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Variance over the square of the mean."""
    n, centre = weights.sum(1), mean(weights, values)
    return (weights @ values**2 / n - centre**2) * n / (n - 1) / centre**2


def kurtosis(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Excess kurtosis of a mixture of Gaussians of these variances."""
    return 3 * spread(weights, values)


def rms(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Root of the mean square."""
    return np.sqrt(mean(weights, values**2))


def of_all(statistic: Statistic, values: np.ndarray) -> float:
    """A statistic of all seeds."""
    return float(statistic(np.ones((1, len(values))), values)[0])


def _with_error(statistic: Statistic, values: np.ndarray) -> tuple[float, float]:
    n = len(values)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    return of_all(statistic, values), float(statistic(drawn, values).std())


def _check(name: str, statistic: Statistic, values: np.ndarray, expected: float, left_out: float = 0.0) -> Check:
    return Check(name, *_with_error(statistic, values), expected, left_out)
