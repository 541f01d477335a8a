"""The cases of benchmarks/kernels.py, and the ways to make a kernel that it compares."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from feature_lazy.kernels import empirical_kernel, tangent_kernel
from feature_lazy.kernels.factors import kernel_flops
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.convolutional import Convolutional
from feature_lazy.networks.fully_connected import FullyConnected

PHI = scaled(Softplus(5.0))
SIDE = 28
BLOCK = 10
"""Patterns whose gradients ``jacobian_by_weight`` makes at once."""


@dataclass(frozen=True)
class Case:
    """P patterns of d entries, and a network of width h; FC has three hidden layers, the CNN is the article's."""

    architecture: str
    n: int
    d: int
    h: int

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.architecture}-{self.n}-{self.d}-{self.h}"

    def network(self) -> FullyConnected | Convolutional:
        """As the kernel sees it."""
        if self.architecture == "fc":
            return FullyConnected(self.d, [self.h] * 3, PHI)
        return Convolutional((1, SIDE, SIDE), [self.h, self.h], PHI)


CASES = {
    case.name: case
    for case in (
        Case("fc", 500, 64, 100),
        Case("fc", 300, 784, 300),
        Case("fc", 1000, 784, 1000),
        Case("fc", 10_000, 784, 100),
        Case("cnn", 200, SIDE**2, 50),
        Case("cnn", 1000, SIDE**2, 50),
        Case("cnn", 200, SIDE**2, 400),
        Case("cnn", 1000, SIDE**2, 400),
    )
}


class Scaled(nn.Module):
    """A layer without bias, times a constant."""

    def __init__(self, layer: nn.Module, scale: float) -> None:
        super().__init__()
        self.layer, self.scale = layer, scale

    def forward(self, x: Tensor) -> Tensor:
        """See ``nn.Module``."""
        return self.layer(x) * self.scale


class Plain(nn.Module):
    """The same network as a user of PyTorch would write it, with the same weights."""

    def __init__(self, case: Case, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.image = case.architecture == "cnn"
        self.layers = nn.ModuleList()
        for index, weight in enumerate(weights.values()):
            if weight.dim() == 4:
                out, into, size, _ = weight.shape
                layer = nn.Conv2d(into, out, size, stride=2 - index % 2, padding=1, bias=False)
            else:
                layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
            layer.weight = nn.Parameter(weight)
            self.layers.append(Scaled(layer, 1 / math.sqrt(weight[0].numel())))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (P, 1)."""
        x = x.unflatten(-1, (1, SIDE, SIDE)) if self.image else x
        *hidden, last = self.layers
        for layer in hidden:
            x = PHI(layer(x))
        return last(x.mean((-2, -1)) if self.image else x)


def layerwise(case: Case, weights: dict[str, Tensor], x: Tensor, limit: float | None) -> Tensor:
    """Ours."""
    return tangent_kernel(case.network(), {name: w[None] for name, w in weights.items()}, x, memory_limit=limit)[0]


def jacobian_contraction(case: Case, weights: dict[str, Tensor], x: Tensor, limit: float | None) -> Tensor:
    """torch.func: the Jacobian of all patterns by vmap, contracted weight by weight."""
    module = Plain(case, weights)
    params = {name: weight.detach() for name, weight in module.named_parameters()}

    def one(params: dict[str, Tensor], pattern: Tensor) -> Tensor:
        return torch.func.functional_call(module, params, (pattern[None],))[0, 0]

    jacobian = torch.func.vmap(torch.func.jacrev(one), (None, 0))(params, x)
    theta = x.new_zeros(len(x), len(x))
    for part in jacobian.values():
        theta += part.flatten(1) @ part.flatten(1).T
    return theta


def jacobian_by_weight(case: Case, weights: dict[str, Tensor], x: Tensor, limit: float | None) -> Tensor:
    """As ``jacobian_contraction``, with the Jacobian of one weight at a time, made for a few patterns at a time."""
    module, theta = Plain(case, weights), x.new_zeros(len(x), len(x))
    params = {name: weight.detach() for name, weight in module.named_parameters()}
    for name, weight in params.items():

        def one(part: Tensor, pattern: Tensor, name: str = name) -> Tensor:
            return torch.func.functional_call(module, params | {name: part}, (pattern[None],))[0, 0]

        jacobian = x.new_empty(len(x), weight.numel())
        for some, rows in zip(x.split(BLOCK), jacobian.split(BLOCK), strict=True):
            rows.copy_(torch.func.vmap(torch.func.jacrev(one), (None, 0))(weight, some).flatten(1))
        theta.addmm_(jacobian, jacobian.T)
    return theta


def per_sample(case: Case, weights: dict[str, Tensor], x: Tensor, limit: float | None) -> Tensor:
    """A backward pass for each pattern."""
    module = Plain(case, weights)
    params = list(module.parameters())
    jacobian = x.new_empty(len(x), sum(p.numel() for p in params))
    for row, pattern in zip(jacobian, x, strict=True):
        gradients = torch.autograd.grad(module(pattern[None])[0, 0], params)
        torch.cat([g.flatten() for g in gradients], out=row)
    return jacobian @ jacobian.T


def generic(case: Case, weights: dict[str, Tensor], x: Tensor, limit: float | None) -> Tensor:
    """Ours for a network of unknown layers: blocks of the Jacobian's rows, made again where they do not fit."""
    return empirical_kernel(Plain(case, weights), x, memory_limit=limit or 2.0**30)


DEFAULT = ("layerwise", "jacobian_contraction", "per_sample")
WAYS = (layerwise, jacobian_contraction, per_sample, jacobian_by_weight, generic)
METHODS: dict[str, Callable[..., Tensor]] = {f.__name__: f for f in WAYS}


def inputs(case: Case) -> tuple[dict[str, Tensor], Tensor]:
    """Weights of seed 0 and patterns with |x|² about d."""
    x = torch.randn(case.n, case.d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return case.network().init(0), x


def jacobian_bytes(case: Case, method: str = "") -> float:
    """Bytes of all P × N numbers, or of those that a method holds at a time."""
    sizes = case.network().layout.sizes
    held = {"layerwise": 0, "generic": 0, "jacobian_by_weight": max(sizes)}.get(method, sum(sizes))
    return 8.0 * case.n * held


def flops(case: Case, method: str) -> float:
    """Counted: all products of a way to make the kernel; of ``generic``, not what it makes again."""
    net = case.network()
    signals = case.n * (net.forward_flops + net.signal_flops)
    if method == "layerwise":
        return signals + kernel_flops(net.layers, case.n)
    gradients = case.n * net.forward_flops + 2.0 * case.n**2 * net.layout.size
    if method == "jacobian_by_weight":
        # A forward pass for each weight, and a backward pass as far as its layer.
        behind = [case.n * sum(layer.flops for layer in net.layers[k + 1 :]) for k in range(len(net.layers))]
        return len(net.layers) * case.n * net.forward_flops + sum(behind) + gradients
    return signals + gradients


def limit_of(case: Case) -> float | None:
    """Memory for ours: a quarter of the Jacobian where convolutions could use as much, else what it takes by itself."""
    return jacobian_bytes(case) / 4 if case.architecture == "cnn" else None
