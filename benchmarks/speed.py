"""What a user waits for: help, start-up, a gradient, a kernel; and how much longer of a module of their own.

``--demo`` times the whole demo as well.

python benchmarks/speed.py [--demo] [--json FILE]
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from feature_lazy.data.prepare import prepare
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.kernels import tangent_kernel
from feature_lazy.networks.activations import Scaled, Softplus, scaled
from feature_lazy.networks.custom import Custom
from feature_lazy.networks.fully_connected import FullyConnected

ROOT = Path(__file__).parent.parent


def command(*arguments: str) -> float:
    """Seconds of ``python train.py …`` as a whole process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "train.py", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def median(function: Callable[[], object], repeats: int = 15) -> float:
    """Median seconds of a call, after two that do not count."""
    times = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return sorted(times[2:])[repeats // 2]


def gradients(patterns: int = 500, widths: Sequence[int] = (30, 100, 300), repeats: int = 15) -> dict[str, float]:
    """A gradient and a kernel at d = 64, L = 3, on one thread, for one network and for each of three.

    Raises:
        SystemExit: a gradient of one network that is another one among three.
    """
    torch.set_num_threads(1)
    data = prepare("digits", patterns, 100, 0)
    found: dict[str, float] = {}
    for h in widths:
        net = FullyConnected(data.input_dim, [h] * 3, scaled(Softplus(5.0)))
        rows = [net.layout.flatten({k: v[None] for k, v in net.init(seed).items()}) for seed in range(3)]
        first: list[torch.Tensor] = []
        for members in (1, 3):
            w0 = torch.cat(rows[:members])
            alpha = torch.ones(members, dtype=torch.float64)
            flow = NetworkFlow(net, data.x_train, data.y_train, SoftHinge(), alpha=alpha, w0=w0)
            member = torch.arange(members)
            seconds = median(lambda flow=flow, w0=w0, member=member: flow.evaluate(w0, member), repeats)
            found[f"gradient h={h}, of {members} together, s"] = seconds / members
            first.append(flow.evaluate(w0, member)[0][0])
        if not torch.allclose(*first, rtol=1e-10, atol=1e-12):
            raise SystemExit(f"h={h}: three networks together have another gradient than one alone.")
        params = net.layout.unflatten(rows[0])
        found[f"kernel h={h}, s"] = median(lambda net=net, p=params: tangent_kernel(net, p, data.x_train), repeats)
    return found


class Module(nn.Module):
    """The fully connected network, as a user would write it."""

    def __init__(self, sizes: Sequence[int], phi: Scaled) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, after, bias=False) for before, after in pairwise(sizes))
        self.phi = phi

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """f(x), (P, 1)."""
        for index, layer in enumerate(self.layers):
            x = layer(self.phi(x) if index else x) / math.sqrt(x.shape[1])
        return x


def own_module(patterns: int = 500, widths: Sequence[int] = (30, 100, 300), repeats: int = 15) -> dict[str, float]:
    """CPU time of a gradient and of a kernel of a module over that of the same network built in, in turns.

    Raises:
        SystemExit: a gradient or a kernel that is another one.
    """
    torch.set_num_threads(1)
    data, phi = prepare("digits", patterns, 100, 0), scaled(Softplus(5.0))
    x, found = data.x_train, {}
    for h in widths:
        sizes = [data.input_dim, *[h] * 3, 1]
        built_in = FullyConnected(data.input_dim, sizes[1:-1], phi)
        module = Custom.made_by(lambda sizes=sizes: Module(sizes, phi), x, last_fan_in=h)
        w0, one = built_in.layout.flatten({k: v[None] for k, v in built_in.init(0).items()}), torch.ones(1).double()
        ways: dict[str, list[Callable[[], torch.Tensor]]] = {"gradient": [], "kernel": []}
        for net in (built_in, module):
            flow = NetworkFlow(net, x, data.y_train, SoftHinge(), alpha=one, w0=w0)
            ways["gradient"].append(lambda flow=flow, w0=w0: flow.gradient(w0))
            ways["kernel"].append(lambda net=net, w0=w0: tangent_kernel(net, net.layout.unflatten(w0), x))
        for what, (first, second) in ways.items():
            if not torch.allclose(first(), second(), rtol=1e-10, atol=1e-12):
                raise SystemExit(f"h={h}: the module has another {what} than the same network built in.")
            found[f"{what} h={h}, of a module over the built-in"] = ratio(second, first, repeats)
    return found


def ratio(way: Callable[[], object], other: Callable[[], object], repeats: int) -> float:
    """Median CPU time of one way over that of another; they take turns."""
    times: list[list[float]] = [[], []]
    for _ in range(repeats):
        for spent, function in zip(times, (way, other), strict=True):
            began = time.process_time()
            function()
            spent.append(time.process_time() - began)
    return statistics.median(times[0]) / statistics.median(times[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print, and with ``--json`` write, every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    figures = {"cores": float(os.cpu_count() or 1), "help, s": command("--help")}
    with tempfile.TemporaryDirectory() as folder:
        tiny = ["dynamics.max_steps=1", f"output_dir={folder}/start"]
        figures["start-up of a run and one step, s"] = command(*tiny)
        if options.demo:
            demo = ["experiment=demo", f"output_dir={folder}/demo"]
            figures["demo, s"] = command(*demo)
            figures["demo again, nothing to train, s"] = command(*demo)
    figures |= gradients() | own_module()
    for name, value in figures.items():
        print(f"{name:44s} {value:9.4f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
