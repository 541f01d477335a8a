"""Cost of the article's sweeps in GPU-hours, by formula: the numbers in the headers of conf/experiment/article.

python benchmarks/article_cost.py [--teraflops 5] [--small]

One gradient of a member costs 3 forward passes over its P patterns, each 2N flops of a fully connected network with N
weights: 6·P·N. How many gradients a flow takes to converge was measured (benchmarks/results/solvers.json, mnist5k,
P = 1000, h = 200, ``auto`` and ``article``) and is interpolated in log √h·α; what it would be at P = 10000, at another
depth or on principal components is not known, and may be several times as many. ε_∇ a hundred times as fine takes ten
times the gradients, since an accepted step changes the gradient by √ε_∇. Minibatch dynamics count all their updates, an
upper bound. Kernels on whole sets cost 2P² (fan-in + fan-out) flops a layer, twice. The sustained speed of one GPU in
float64 is an assumption: 5 teraflops, about half of an A100's peak without tensor cores; small networks reach less.
"""

import argparse
import itertools
import json
import math
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from feature_lazy import config as schema
from feature_lazy.activations import relu_activation
from feature_lazy.architectures import Convolutional, FullyConnected, WideResnet
from feature_lazy.cells import seeds, sqrt_h_alpha
from feature_lazy.data_rules import pattern_shape
from feature_lazy.schema import register
from feature_lazy.widths import widths
from hydra_plugins.feature_lazy_plugins._composer import Composer

ROOT = Path(__file__).parent.parent
ARTICLE = ROOT / "conf" / "experiment" / "article"
MEASURED = json.loads((ROOT / "benchmarks" / "results" / "solvers.json").read_text(encoding="utf-8"))
EPS = 1e-4
"""ε_∇ of the measurement."""


def gradients(config: schema.Config) -> float:
    """Gradients of the whole training set to convergence, of one member."""
    dynamics = config.dynamics
    if isinstance(dynamics, schema.Minibatch):
        return dynamics.updates * dynamics.batch / config.dataset.n_train
    article = isinstance(dynamics, schema.GradientFlow) and dynamics.stepper == "article"
    rows = [
        (math.log(row["sqrt_h_alpha"]), math.log(row["gradient_equivalents"]))
        for row in MEASURED
        if row["dataset"] == "mnist5k"
        and row["until"] == "convergence"
        and row["stepper"] == ("article" if article else "auto")
    ]
    x, y = np.array(sorted(rows)).T
    lazy = isinstance(dynamics, schema.FrozenKernel)
    at = x[-1] if lazy else math.log(sqrt_h_alpha(config))
    count = math.exp(np.interp(at, x, y))
    if lazy and dynamics.at == "end":  # the training before
        count += math.exp(np.interp(math.log(sqrt_h_alpha(config)), x, y))
    return count * (math.sqrt(EPS / dynamics.eps_gradient) if article else 1.0)


def forward_flops(config: schema.Config) -> tuple[float, float]:
    """Flops of a forward pass for a pattern, and Σ (fan-in + fan-out) over its dense layers; 0 of others.

    Raises:
        AssertionError: never; the article has no other network.
    """
    shape, phi = pattern_shape(config.dataset), relu_activation()
    assert shape is not None
    match config.architecture:
        case schema.FullyConnected():
            sides = [math.prod(shape), *widths(config), 1]
            network = FullyConnected(sides[0], sides[1:-1], phi)
            return network.forward_flops, 2.0 * sum(sides) - sides[0] - sides[-1]
        case schema.Cnn():
            return Convolutional((shape[0], shape[1], shape[2]), widths(config), phi).forward_flops, 0.0
        case schema.WideResnet(depth=depth):
            return WideResnet((shape[0], shape[1], shape[2]), config.width.h, phi, depth=depth).forward_flops, 0.0
    raise AssertionError("the article has no other network")


def flops(config: schema.Config) -> float:
    """Of one job."""
    forward, fans = forward_flops(config)
    n_train, n_test = config.dataset.n_train, config.dataset.n_test
    training = 3 * n_train * forward * gradients(config)
    final = 2 * 2 * fans * (n_train**2 + n_test**2) if config.observe.kernel.final else 0.0
    return len(seeds(config)) * (training + final)


def jobs(experiment: str) -> list[schema.Config]:
    """The configurations of a sweep."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        master = compose("train", [f"experiment={experiment}"], return_hydra_config=True)
        composer = Composer(GlobalHydra.instance().config_loader(), master)
        choices = [[f"{k}={v}" for v in str(values).split(",")] for k, values in master.hydra.sweeper.params.items()]
        return [composer.typed([f"experiment={experiment}", *c]) for c in itertools.product(*choices)]


def main() -> None:
    """Print runs and GPU-hours of every sweep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teraflops", type=float, default=5.0, help="sustained speed of one GPU in float64")
    parser.add_argument("--small", action="store_true", help="the small sweeps")
    options = parser.parse_args()
    register()
    for path in sorted((ARTICLE / "small" if options.small else ARTICLE).glob("*.yaml")):
        if "output_dir" not in path.read_text(encoding="utf-8"):
            continue  # another name of a sweep
        own = jobs(f"article/{'small/' if options.small else ''}{path.stem}")
        hours = sum(map(flops, own)) / (options.teraflops * 1e12) / 3600
        print(f"{path.stem:14} {sum(len(seeds(c)) for c in own):5} runs  {hours:.2g} GPU-hours")


if __name__ == "__main__":
    main()
