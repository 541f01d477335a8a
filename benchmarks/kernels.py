"""The exact tangent kernel layer by layer against the two usual ways: wall time, peak memory, flops, in one run.

    python benchmarks/kernels.py [--cases fc-500-64-100 …] [--methods …] [--repeats 5] [--json FILE]

``jacobian_contraction`` is PyTorch's own recipe: ``vmap(jacrev(functional_call))`` of a plain module, contracted
weight by weight. ``per_sample`` is a backward pass for each pattern, contracted at the end. Both hold the P × N
Jacobian; where that is larger than ``--jacobian-limit`` they are left out, with what they would need. Wall times are
medians of repeats that take turns; peak memory is that of a process of its own, beyond what it held when it began. One
thread.
"""

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from feature_lazy.activations import softplus_activation
from feature_lazy.architectures import Convolutional, FullyConnected
from feature_lazy.kernels import relative_change, tangent_kernel
from feature_lazy.kernels.factors import kernel_flops

PHI = softplus_activation(5.0)
SIDE = 28


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


def per_sample(case: Case, weights: dict[str, Tensor], x: Tensor, limit: float | None) -> Tensor:
    """A backward pass for each pattern."""
    module = Plain(case, weights)
    params = list(module.parameters())
    jacobian = x.new_empty(len(x), sum(p.numel() for p in params))
    for row, pattern in zip(jacobian, x, strict=True):
        gradients = torch.autograd.grad(module(pattern[None])[0, 0], params)
        torch.cat([g.flatten() for g in gradients], out=row)
    return jacobian @ jacobian.T


METHODS: dict[str, Callable[..., Tensor]] = {f.__name__: f for f in (layerwise, jacobian_contraction, per_sample)}


def inputs(case: Case) -> tuple[dict[str, Tensor], Tensor]:
    """Weights of seed 0 and patterns with |x|² about d."""
    x = torch.randn(case.n, case.d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return case.network().init(0), x


def jacobian_bytes(case: Case) -> float:
    """Of all P × N numbers."""
    return 8.0 * case.n * case.network().layout.size


def flops(case: Case, method: str) -> float:
    """Counted: all products of a way to make the kernel."""
    net = case.network()
    signals = case.n * (net.forward_flops + net.signal_flops)
    if method == "layerwise":
        return signals + kernel_flops(net.layers, case.n)
    return signals + case.n * net.forward_flops + 2.0 * case.n**2 * net.layout.size


def limit_of(case: Case) -> float | None:
    """Memory for ours: a quarter of the Jacobian where convolutions could use as much, else what it takes by itself."""
    return jacobian_bytes(case) / 4 if case.architecture == "cnn" else None


def peak(case: Case, method: str) -> int:
    """Bytes that a process of its own needs beyond its inputs, the result included."""
    command = [sys.executable, __file__, "--peak", case.name, method]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(case: Case, method: str) -> None:
    """In a process of its own: do it once and say how much memory it took."""
    weights, x = inputs(case)
    small = Case(case.architecture, 2, case.d, 2)
    METHODS[method](small, *inputs(small), None)  # what the first call loads is not part of it
    before = resident("VmRSS")
    METHODS[method](case, weights, x, limit_of(case))
    print(resident("VmHWM") - before)


def resident(field: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most so far (VmHWM; Linux)."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1])  # type: ignore[index]


def matrix_rate() -> float:
    """What this core does in float64, flops a second: the best of a few square products."""
    a = torch.randn(2000, 2000, dtype=torch.float64)
    best = math.inf
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * len(a) ** 3 / best


def rows(case: Case, methods: list[str], repeats: int, limit: float) -> list[dict[str, Any]]:
    """One row for each method that fits into memory."""
    fits = [m for m in methods if m == "layerwise" or jacobian_bytes(case) <= limit]
    weights, x = inputs(case)
    times: dict[str, list[float]] = {method: [] for method in fits}
    results: dict[str, Tensor] = {}
    for _ in range(repeats):
        for method in fits:
            began = time.perf_counter()
            results[method] = METHODS[method](case, weights, x, limit_of(case))
            times[method].append(time.perf_counter() - began)
    first = results[fits[0]][None]
    found: list[dict[str, Any]] = []
    for method in methods:
        row: dict[str, Any] = {"architecture": case.architecture, "P": case.n, "d": case.d, "h": case.h}
        row |= {"method": method, "wall_s": None, "peak_bytes": None, "jacobian_bytes": jacobian_bytes(case)}
        if method in fits:
            wall = statistics.median(times[method])
            row |= {"wall_s": wall, "peak_bytes": peak(case, method), "flops": flops(case, method)}
            row |= {
                "flops_per_s": row["flops"] / wall,
                "difference": float(relative_change(results[method][None], first)),
            }
        found.append(row)
        done = (
            f"{row['wall_s']:9.3f} s  {row['peak_bytes'] / 2**20:8.0f} MiB  {row['flops_per_s'] / 1e9:5.1f} GFlop/s"
            if method in fits
            else f"its Jacobian alone takes {jacobian_bytes(case) / 2**30:.1f} GiB"
        )
        print(f"{case.name:18s} {method:21s} {done}", flush=True)
    return found


def main() -> None:
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES)[:-1], choices=CASES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jacobian-limit", type=float, default=6e9, help="bytes; default 6e9")
    parser.add_argument("--json", help="write all rows to this file")
    parser.add_argument("--peak", nargs=2, metavar=("CASE", "METHOD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        name, method = options.peak
        print_peak(CASES[name], method)
        return
    rate = matrix_rate()
    print(f"float64 matrix rate of this core: {rate / 1e9:.1f} GFlop/s")
    table: list[dict[str, Any]] = []
    for name in options.cases:
        # Large cases say enough in one go.
        repeats = 1 if CASES[name].n * CASES[name].h > 60_000 else options.repeats
        table += [
            {**row, "matrix_rate": rate} for row in rows(CASES[name], options.methods, repeats, options.jacobian_limit)
        ]
        if options.json:
            with open(options.json, "w") as file:
                json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
