"""Cost of the article's sweeps in GPU-hours, by formula: the numbers in the headers of conf/experiment/article.

python benchmarks/article_cost.py [--teraflops 5] [--small]
python benchmarks/article_cost.py --measure results/small      # after make gallery: how many gradients other kinds take

One gradient of a member costs 3 forward passes over its P patterns, each 2N flops of a fully connected network with N
weights: 6·P·N. How many gradients a flow takes to converge was measured (benchmarks/results/solvers.json, mnist5k,
P = 1000, h = 200, ``auto`` and ``article``) and is interpolated in log √h·α. Other kinds of network and data take other
numbers: the ratio was measured in the small sweeps, by architecture, activation and whether patterns are principal
components (benchmarks/results/gradients.json), and is interpolated likewise. What it is at P = 10000 is not known. ε_∇
a hundred times as fine takes ten times the gradients, since an accepted step changes the gradient by √ε_∇. Minibatch
dynamics count all their updates, an upper bound. Kernels on whole sets cost 2P² (fan-in + fan-out) flops a layer,
twice. The sustained speed of one GPU in float64 is an assumption: 5 teraflops, about half of an A100's peak without
tensor cores; small networks reach less.
"""

import argparse
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from feature_lazy import load_sweep
from feature_lazy.data.images import Images
from feature_lazy.data.prepare import Dataset
from feature_lazy.dynamics.flows import FrozenKernelOption, GradientFlowOption
from feature_lazy.dynamics.optimisers import Optimiser
from feature_lazy.networks.base import GaussianNetwork
from feature_lazy.settings.cells import sqrt_h_alpha
from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Data
from feature_lazy.settings.schema import from_plain, register
from feature_lazy.study.table import X
from hydra_plugins.feature_lazy_plugins._composer import Composer

ROOT = Path(__file__).parent.parent
ARTICLE = ROOT / "conf" / "experiment" / "article"
MEASURED = json.loads((ROOT / "benchmarks" / "results" / "solvers.json").read_text(encoding="utf-8"))
RATIO_FILE = ROOT / "benchmarks" / "results" / "gradients.json"
RATIOS: dict[str, dict[str, float]] = json.loads(RATIO_FILE.read_text(encoding="utf-8")) if RATIO_FILE.exists() else {}
USUAL = "fully_connected, softplus"
"""The kind of network that was measured at P = 1000."""
EPS = 1e-4
"""ε_∇ of the measurement."""


def gradients(config: Config) -> float:
    """Gradients of the whole training set to convergence, of one member."""
    dynamics, x = config.dynamics, math.log(sqrt_h_alpha(config))
    if isinstance(dynamics, Optimiser):
        return dynamics.updates * dynamics.batch / config.dataset.n_train
    if isinstance(dynamics, GradientFlowOption) and dynamics.stepper == "article":
        return fully_connected(x, "article") * math.sqrt(EPS / dynamics.eps_gradient)
    name = kind(config.architecture.kind, config.activation.kind, config.dataset)
    flow = fully_connected(x) * ratio(name, x)
    if isinstance(dynamics, FrozenKernelOption):
        frozen = fully_connected(math.inf) * ratio(name, math.inf)
        return frozen + (flow if dynamics.at == "end" else 0.0)  # the training before
    return flow


def fully_connected(x: float, stepper: str = "auto") -> float:
    """Gradients of a fully connected softplus network on images at ln √h·α = x."""
    rows = [
        (math.log(row["sqrt_h_alpha"]), math.log(row["gradient_equivalents"]))
        for row in MEASURED
        if (row["dataset"], row["until"], row["stepper"]) == ("mnist5k", "convergence", stepper)
    ]
    return math.exp(np.interp(x, *np.array(sorted(rows)).T))


def kind(architecture: str, activation: str, dataset: Data) -> str:
    """What the number of gradients depends on."""
    components = isinstance(dataset, Images) and dataset.pca.components
    return f"{architecture}, {activation}" + (", principal components" if components else "")


def ratio(name: str, x: float) -> float:
    """Gradients of a kind of network at ln √h·α = x over those of a fully connected softplus network on images."""
    rows = sorted((math.log(float(at)), math.log(value)) for at, value in RATIOS.get(name, {}).items())
    return math.exp(np.interp(x, *np.array(rows).T)) if rows else 1.0


def measure(results: Path) -> dict[str, dict[float, float]]:
    """Ratios, by kind and √h·α, from stored runs of gradient flow by ``auto``; geometric means of those alike.

    Each is to a fully connected softplus network on images at the nearest P: more patterns take more gradients.
    """
    counts: dict[tuple[str, int], dict[float, list[float]]] = {}
    for folder in sorted(path for path in results.iterdir() if (path / "runs").is_dir()):
        for run in load_sweep(folder).runs:
            config = from_plain(run.config)
            if not isinstance(config.dynamics, GradientFlowOption) or config.dynamics.stepper != "auto":
                continue
            if config.dataset.kind == "mnist1d":
                continue  # no images, and harder: several times the gradients
            name = kind(config.architecture.kind, config.activation.kind, config.dataset)
            by_x = counts.setdefault((name, run.columns["P"]), {})
            by_x.setdefault(run.columns[X], []).append(math.log(run.summary["gradient_equivalents"]))
    usual = {p: by_x for (name, p), by_x in counts.items() if name == USUAL}
    logs: dict[str, dict[float, list[float]]] = {}
    for (name, p), by_x in counts.items():
        if name == USUAL:
            continue
        near = usual[min(usual, key=lambda other: abs(math.log(other / p)))]
        rows = np.array(sorted((math.log(x), np.mean(values)) for x, values in near.items())).T
        for x, values in by_x.items():
            logs.setdefault(name, {}).setdefault(x, []).extend(v - np.interp(math.log(x), *rows) for v in values)
    return {name: {x: round(math.exp(np.mean(v)), 3) for x, v in sorted(by.items())} for name, by in logs.items()}


def forward_flops(config: Config) -> tuple[float, float]:
    """Flops of a forward pass for a pattern, and Σ (fan-in + fan-out) over its dense layers; 0 of others."""
    shape = config.dataset.shape
    assert shape is not None
    one = torch.zeros(1, math.prod(shape), dtype=torch.float64)
    data = Dataset(one, torch.ones(1), one, torch.ones(1), shape)
    network = config.architecture.build(config, data)
    assert isinstance(network, GaussianNetwork)
    dense = all(layer.positions == 1 for layer in network.layers)
    fans = sum(layer.fan_in + layer.fan_out for layer in network.layers if layer.fan_in > 1)  # no biases
    return network.forward_flops, float(fans) if dense else 0.0


def flops(config: Config) -> float:
    """Flops of one job."""
    forward, fans = forward_flops(config)
    n_train, n_test = config.dataset.n_train, config.dataset.n_test
    training = 3 * n_train * forward * gradients(config)
    final = 2 * 2 * fans * (n_train**2 + n_test**2) if config.observe.kernel.final else 0.0
    return len(config.seed.seeds()) * (training + final)


def jobs(experiment: str) -> list[Config]:
    """The configurations of a sweep."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        master = compose("train", [f"experiment={experiment}"], return_hydra_config=True)
        composer = Composer(GlobalHydra.instance().config_loader(), master)
        choices = [[f"{k}={v}" for v in str(values).split(",")] for k, values in master.hydra.sweeper.params.items()]
        return [composer.typed([f"experiment={experiment}", *c]) for c in itertools.product(*choices)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print runs and GPU-hours of every sweep.

    Raises:
        SystemExit: a cost that is none.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teraflops", type=float, default=5.0, help="sustained speed of one GPU in float64")
    parser.add_argument("--small", action="store_true", help="the small sweeps")
    parser.add_argument("--measure", type=Path, help="folder with the results of the small sweeps")
    options = parser.parse_args(arguments)
    register()
    if options.measure:
        RATIO_FILE.write_text(json.dumps(measure(options.measure), indent=1) + "\n", encoding="utf-8")
        return
    for path in sorted((ARTICLE / "small" if options.small else ARTICLE).glob("*.yaml")):
        if "output_dir" not in path.read_text(encoding="utf-8"):
            continue  # another name of a sweep
        own = jobs(f"article/{'small/' if options.small else ''}{path.stem}")
        hours = sum(map(flops, own)) / (options.teraflops * 1e12) / 3600
        if not 0 < hours < math.inf:
            raise SystemExit(f"{path.stem}: {hours} GPU-hours are no cost.")
        print(f"{path.stem:14} {sum(len(c.seed.seeds()) for c in own):5} runs  {hours:.2g} GPU-hours")


if __name__ == "__main__":
    main()
