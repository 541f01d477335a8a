"""What a user waits for: help, start-up, a cell, a gradient, a kernel; how much longer of a module of their own.

python benchmarks/speed.py [--demo] [--pairs N] [--more N] [--json FILE]; ``--demo`` times the whole demo, too.

Help, start-up and cells take turns with themselves where more options are known, which a planted module declares:
medians of pairs, in seconds of CPU, so that other processes of a machine matter little.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median as middle

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


PLANTED = """
@option("{group}", "planted_{number}")
class Planted{number}({base}):
    \"\"\"Planted option {number}.\"\"\"

    first: float = key(1.0, "a number", gt=0)
    second: int = key(2, "a whole number", ge=0)

    def {method}: ...
"""
KINDS = (("loss", "Loss", "__call__(self, F, y)"), ("activation", "Activation", "shape(self, z)"))
JOBS = 200


def plant(folder: Path, number: int) -> None:
    """Write a module ``planted`` that declares options, half of them losses and half activations."""
    head = """
from feature_lazy.settings.groups import Activation, Loss
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
"""
    options = [
        PLANTED.format(number=i, group=group, base=base, method=method)
        for i in range(number)
        for group, base, method in [KINDS[i % 2]]
    ]
    (folder / "planted.py").write_text("\n".join([head, *options]))


def command(*arguments: str, script: str = "train.py", path: str = "") -> tuple[float, float, str]:
    """Wall and CPU seconds of ``python train.py …`` as a whole process, and what it says; modules may lie in a path."""
    known = os.pathsep.join(filter(None, [path, str(ROOT), os.environ.get("PYTHONPATH")]))
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, script, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": known},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def cell(modules: Sequence[str]) -> float:
    """CPU seconds to compose, check and name one more cell of a sweep, in a process that knows some more options."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    from feature_lazy.settings.cells import cells
    from feature_lazy.settings.checks import validate
    from feature_lazy.settings.conf_files import config_dir
    from feature_lazy.settings.registry import discover
    from feature_lazy.settings.schema import register
    from hydra_plugins.feature_lazy_plugins._composer import Composer

    discover(modules)
    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        composer = Composer(loader, loader.load_configuration("train", [], RunMode.MULTIRUN))
        composer.typed(["alpha.value=1", "width.h=10"])
        began = time.process_time()
        for i in range(JOBS):
            config = composer.typed([f"alpha.value={i + 2}", "width.h=10"])
            validate(config)
            cells(config)
        return (time.process_time() - began) / JOBS


def start_up(pairs: int, more: int) -> dict[str, float]:
    """CPU seconds of help, of a run to its first step and of a cell, in turns without and with more options.

    Raises:
        SystemExit: a process that knows other options than it should.
    """
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        plant(Path(folder), more)
        for turn in range(2 * pairs):
            modules = ["planted"] if turn % 2 else []
            words = [f"options=[{module}]" for module in modules]
            _, help_s, said = command(*words, "--help", path=folder)
            if said.count("planted_") != more * len(modules):
                raise SystemExit(f"The help names {said.count('planted_')} of {more * len(modules)} options more.")
            _, step_s, _ = command(*words, "dynamics.max_steps=1", f"output_dir={folder}/{turn}", path=folder)
            _, _, cell_s = command("--cell", *modules, script=__file__, path=folder)
            beside = f", {more} options more" if modules else ""
            for what, seconds in (("help", help_s), ("a run to its first step", step_s), ("a cell", float(cell_s))):
                found.setdefault(f"{what}{beside}, CPU s", []).append(seconds)
    return {name: middle(seconds) for name, seconds in found.items()}


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
    return middle(times[0]) / middle(times[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print, and with ``--json`` write, every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--more", type=int, default=100, help="options that a planted module declares")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cell", nargs="*", metavar="MODULE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.cell is not None:
        print(cell(options.cell))
        return
    figures = {"cores": float(os.cpu_count() or 1), **start_up(options.pairs, options.more)}
    if options.demo:
        with tempfile.TemporaryDirectory() as folder:
            demo = ["experiment=demo", f"output_dir={folder}/demo"]
            figures["demo, s"] = command(*demo)[0]
            figures["demo again, nothing to train, s"] = command(*demo)[0]
    figures |= gradients() | own_module()
    for name, value in figures.items():
        print(f"{name:55s} {value:9.4f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
