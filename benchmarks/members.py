"""Networks trained together against one by one, on one core.

    python benchmarks/members.py [--json FILE]

The same runs both ways, from start to convergence, at √h·α = 1: the work is the same, only the batch differs.
"""

import argparse
import json
import math
import time

import torch

from feature_lazy.data.prepare import prepare
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, integrate, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.times import LogTimes
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected

MEMBERS = 20
CASES = (("digits", 256, 30, 10**6), ("digits", 1000, 256, 12))
"""Data, P, h, and steps: the large networks are stopped early."""


def seconds(case: tuple[str, int, int, int], groups: int) -> float:
    """Wall time of all members, in so many groups one after another."""
    dataset, n_train, h, max_steps = case
    data = prepare(dataset, n_train, 100, 0)
    net = FullyConnected(data.input_dim, [h] * 3, scaled(Softplus(5.0)))
    w0 = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(s).items()}) for s in range(MEMBERS)])
    loss, began = SoftHinge(), time.perf_counter()
    how = method("auto", 1e-2)
    for part in w0.chunk(groups):
        one = torch.ones(len(part), dtype=torch.float64)
        flow = NetworkFlow(net, data.x_train, data.y_train, loss, alpha=one / math.sqrt(h), w0=part)
        state = start(flow, how.stepper, part, one, 1)
        limits = Limits(1e-10, one, max_steps=max_steps)
        for _ in integrate(flow, how, state, [LogTimes(1, 1e-3)] * len(part), [converged(loss, data.y_train)], limits):
            pass
    return time.perf_counter() - began


def main() -> None:
    """Both cases, each way twice in turn; the faster of the two counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = []
    for case in CASES:
        times = [(seconds(case, 1), seconds(case, MEMBERS)) for _ in range(2)]
        together, alone = (min(column) for column in zip(*times, strict=True))
        row = dict(zip(("dataset", "P", "h", "max_steps"), case, strict=True))
        table.append(row | {"members": MEMBERS, "together_s": together, "one_by_one_s": alone})
        print(f"P={case[1]} h={case[2]}: together {together:.2f} s, one by one {alone:.2f} s: {together / alone:.2f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
