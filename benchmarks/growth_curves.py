"""What benchmarks/growth.py measures: works of one size each, what is counted of them, and a check of each result."""

import dataclasses
import hashlib
import io
import json
import math
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from torch import Tensor

from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Ended, Limits, finish, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.kernels import tangent_kernel
from feature_lazy.kernels.factors import kernel_flops
from feature_lazy.launch.commands import main as command
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.runs.batch import build
from feature_lazy.runs.plan import read_plans, write_plan
from feature_lazy.runs.reading import DONE, HISTORY, MANIFEST, OUTPUTS, checksum
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.train import run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.conf_files import config_dir
from feature_lazy.settings.scales import SingleSeed
from feature_lazy.settings.schema import register
from hydra_plugins.feature_lazy_plugins._checking import Checking
from hydra_plugins.feature_lazy_plugins._composer import Composer

D = 64
"""Numbers of a pattern."""
STEPS = 4
"""Steps that are followed; one of them is what is told."""
EXACT = 1e-9
"""How far two ways to the same number may be apart: rounding."""
SMALL_JOB = (
    *("dataset.n_train=20", "dataset.n_test=20", "architecture.depth=2", "width.h=8", "alpha.value=10"),
    *("dynamics.stepper=article", "dynamics.eps_gradient=1e-2", "observe.kernel.probe=0", "observe.per_decade=2"),
)
"""A run that converges at once."""


@dataclass(frozen=True)
class Work:
    """One piece of work.

    Attributes:
        do: does it.
        wrong: a sentence if what it returned is not what it should be, else nothing.
        counted: what it should take, up to a factor, by what it returned: flops, or a number of cells.
        parts: by which its time is divided.
    """

    do: Callable[[], Any]
    wrong: Callable[[Any], str]
    counted: Callable[[Any], float]
    parts: int = 1


@dataclass(frozen=True)
class Curve:
    """Works of growing size.

    Attributes:
        short: one word for what is done.
        what: the same in words.
        against: what grows.
        sizes: of it, ascending.
        make: the work of a size, with a folder for its files.
        fixed: what stays, in words.
        fitted: how many of the largest sizes an exponent is fitted to: below them calls take more than their work.
    """

    short: str
    what: str
    against: str
    sizes: tuple[int, ...]
    make: Callable[[int, Path], Work]
    fixed: str
    fitted: int = 3

    @property
    def name(self) -> str:
        """As on the command line."""
        return f"{self.short}-{self.against}"


@dataclass(frozen=True)
class Net:
    """A fully-connected network of width h and L hidden layers on P random patterns, some members of it."""

    P: int = 500
    h: int = 100
    L: int = 3
    members: int = 1

    @property
    def network(self) -> FullyConnected:
        """As the package has it."""
        return FullyConnected(D, [self.h] * self.L, scaled(Softplus(5.0)))

    def weights(self) -> Tensor:
        """Initial weights of all members, (M, N)."""
        net = self.network
        rows = [{name: w[None] for name, w in net.init(seed).items()} for seed in range(self.members)]
        return torch.cat([net.layout.flatten(row) for row in rows])

    def patterns(self) -> Tensor:
        """Patterns (P, d) with |x|² about d; those of fewer are the first of them."""
        return torch.randn(self.P, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def flow(self, w: Tensor) -> NetworkFlow:
        """Gradient flow from these weights at √h·α = 1."""
        x = self.patterns()
        alpha = w.new_full((len(w),), 1 / math.sqrt(self.h))
        return NetworkFlow(self.network, x, x[:, 0].sign(), SoftHinge(), alpha=alpha, w0=w)


def kernel(**size: int) -> Work:
    """Θ of one network; one of its entries is held against the product of two gradients."""
    of = Net(**size)
    net, x, w = of.network, of.patterns(), of.weights()
    params = net.layout.unflatten(w)

    def gradient(pattern: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = w.clone().requires_grad_()
            return torch.autograd.grad(net.apply(net.layout.unflatten(leaf), pattern[None]).sum(), leaf)[0]

    def wrong(theta: Tensor) -> str:
        exact = float((gradient(x[0]) * gradient(x[-1])).sum())
        apart = abs(float(theta[0, 0, -1]) - exact) / float(theta[0, 0, 0])
        return "" if apart < EXACT else f"an entry of Θ is {apart:.2g} from the product of two gradients"

    flops = of.P * (net.forward_flops + net.signal_flops) + kernel_flops(net.layers, of.P)
    return Work(lambda: tangent_kernel(net, params, x), wrong, lambda _: flops)


def gradient(**size: int) -> Work:
    """∇𝓛 of all members; that of the last is held against the mean of those of two halves of the patterns, alone."""
    of = Net(**size)
    w = of.weights()
    flow, last = of.flow(w), torch.tensor([of.members - 1])

    def wrong(found: Tensor) -> str:
        alone, half = flow.of(last), of.P // 2
        parts = [alone.on_batch(torch.arange(half)), alone.on_batch(torch.arange(half, of.P))]
        mean = torch.cat([part.gradient(w[last]) * part.n_train / of.P for part in parts]).sum(0)
        apart = float((found[-1] - mean).norm() / mean.norm())
        return "" if apart < EXACT else f"a gradient is {apart:.2g} from the mean of those of two halves"

    return Work(lambda: flow.gradient(w), wrong, lambda _: of.members * flow.flops.evaluate)


def step(**size: int) -> Work:
    """A step of the default stepper, of the first few of a training."""
    of = Net(**size)
    w = of.weights()
    flow, one = of.flow(w), w.new_ones(of.members)
    how = method("auto", 1e-2)

    def steps() -> Ended:
        return finish(flow, how, start(flow, how.stepper, w, one, 0), Limits(1e-10, one, max_steps=STEPS))

    def wrong(ended: Ended) -> str:
        tried = (ended.state.steps + ended.state.rejected).tolist()
        return "" if tried == [STEPS] * of.members and bool((ended.state.t > 0).all()) else f"{tried} steps were tried"

    return Work(steps, wrong, lambda ended: float(ended.state.flops.sum()) / STEPS, STEPS)


def planning(number: int, folder: Path) -> Work:
    """All that the parent of a sweep does before it trains: compose, check and name its cells, and write the plan."""
    register()
    root = folder / f"planned-{number}"

    def plan() -> int:
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()
            sweeper = Checking()
            sweeper.launcher = None
            sweeper.config = loader.load_configuration("train", [f"output_dir={root}"], RunMode.MULTIRUN)
            sweeper.composer = Composer(loader, sweeper.config)
            batch = [[f"alpha.value={i + 1}", f"output_dir={root}"] for i in range(number)]
            sweeper.validate_batch_is_legal(batch)
        return len(batch)

    def wrong(found: int) -> str:
        jobs, problems = read_plans(root)
        ids = {run.run_id for job in jobs for run in job.runs}
        return "" if found == len(ids) == number and not problems else f"the plan has {len(ids)} runs of {number}"

    return Work(plan, wrong, lambda _: number)


def status(number: int, folder: Path) -> Work:
    """``feature-lazy status`` of finished runs: one that was trained, and copies of it under every other seed."""
    root = folder / f"stored-{number}"
    if not root.exists():
        fill(root, number)

    def look() -> int:
        with redirect_stdout(io.StringIO()):
            return command(["status", str(root)])

    def wrong(code: int) -> str:
        done = len(survey(root).having(RunState.DONE))
        return "" if code == 0 and done == number else f"status finds {done} finished runs of {number}"

    return Work(look, wrong, lambda _: number)


def fill(root: Path, number: int) -> None:
    """A results folder of finished runs."""
    from feature_lazy.settings.overrides import composed

    config = composed([*SMALL_JOB, f"output_dir={root}"])
    [first] = run(build(config))
    configs = [dataclasses.replace(config, seed=SingleSeed(value=seed)) for seed in range(number)]
    for other in configs[1:]:
        [cell] = cells(other)
        path = root / "runs" / cell.run_id
        path.mkdir()
        for name in (HISTORY, OUTPUTS):
            os.link(first.path / name, path / name)
        manifest = {**first.manifest, "run_id": cell.run_id, **cell.description}
        text = json.dumps({**manifest, "sha256": checksum(manifest)}).encode()
        (path / MANIFEST).write_bytes(text)
        (path / DONE).write_bytes(hashlib.sha256(text).hexdigest().encode())
    write_plan(root, configs)


def grown(make: Callable[..., Work], against: str, **fixed: int) -> Callable[[int, Path], Work]:
    """The work of a size, the other sizes fixed."""
    return lambda size, _: make(**fixed, **{against: size})


def curve(make: Callable[..., Work], against: str, sizes: tuple[int, ...], **fixed: int) -> Curve:
    """One of a network."""
    words = ", ".join(f"{name} = {value}" for name, value in fixed.items())
    names = {kernel: "exact Θ", gradient: "one gradient", step: "one training step"}
    return Curve(make.__name__, names[make], against, sizes, grown(make, against, **fixed), words)


P_SIZES, H_SIZES, L_SIZES = (250, 500, 1000, 2000, 4000), (50, 100, 200, 400, 800, 1600), (2, 4, 8, 16, 32)
CELLS = (1, 10, 100, 1000, 3000, 10_000)
CURVES = {
    one.name: one
    for one in (
        curve(kernel, "P", P_SIZES, h=100, L=3),
        curve(kernel, "h", H_SIZES, P=1000, L=3),
        curve(kernel, "L", L_SIZES, P=1000, h=100),
        curve(gradient, "P", (*P_SIZES, 8000), h=100, L=3),
        curve(gradient, "h", H_SIZES, P=500, L=3),
        curve(gradient, "L", L_SIZES, P=500, h=100),
        curve(gradient, "members", (1, 2, 4, 8, 16, 32), P=250, h=50, L=3),
        curve(step, "P", P_SIZES[:-1], h=100, L=3),
        curve(step, "h", H_SIZES, P=500, L=3),
        curve(step, "members", (1, 2, 4, 8, 16, 32), P=250, h=50, L=3),
        Curve("planning", "planning a sweep", "cells", CELLS, planning, "α differs"),
        Curve("status", "status", "cells", CELLS, status, "finished runs, their seeds differ"),
    )
}
