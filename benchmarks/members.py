"""Networks trained together against one by one, on one core.

    python benchmarks/members.py [--json FILE]

The same runs both ways, from start to convergence, at √h·α = 1: the work is the same, only the batch differs.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence

import torch

from feature_lazy.data.prepare import prepare
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, integrate, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.messages import Finished
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.times import LogTimes
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected

MEMBERS = 20
CASES = (("digits", 256, 30, 10**6), ("digits", 1000, 256, 12))
"""Data, P, h, and steps: the large networks are stopped early."""
APART = 1e-6
"""How far weights may be apart, over how far they went: rounding, which a batch does differently."""


def seconds(case: tuple[str, int, int, int], groups: int) -> tuple[float, torch.Tensor]:
    """CPU time of all members, in so many groups one after another, and w − w₀ at their end."""
    dataset, n_train, h, max_steps = case
    data = prepare(dataset, n_train, 100, 0)
    net = FullyConnected(data.input_dim, [h] * 3, scaled(Softplus(5.0)))
    w0 = torch.cat([net.layout.flatten({k: v[None] for k, v in net.init(s).items()}) for s in range(MEMBERS)])
    loss, began = SoftHinge(), time.process_time()
    how, ends = method("auto", 1e-2), torch.full_like(w0, math.nan)
    for part, end in zip(w0.chunk(groups), ends.chunk(groups), strict=True):
        one = torch.ones(len(part), dtype=torch.float64)
        flow = NetworkFlow(net, data.x_train, data.y_train, loss, alpha=one / math.sqrt(h), w0=part)
        state = start(flow, how.stepper, part, one, 1)
        limits = Limits(1e-10, one, max_steps=max_steps)
        for event in integrate(
            flow, how, state, [LogTimes(1, 1e-3)] * len(part), [converged(loss, data.y_train)], limits
        ):
            if isinstance(event, Finished):
                end[event.state.member] = event.state.y - part[event.state.member]
    return time.process_time() - began, ends


def main(arguments: Sequence[str] | None = None) -> None:
    """Both cases, each way twice in turn; the faster of the two counts.

    Raises:
        SystemExit: the two ways ended with other weights.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table = []
    for case in CASES:
        times = [(seconds(case, 1), seconds(case, MEMBERS)) for _ in range(2)]
        apart = max(float((one - other).norm() / other.norm()) for (_, one), (_, other) in times)
        if not apart < APART:
            raise SystemExit(
                f"P={case[1]} h={case[2]}: both ways ended {apart:.2g} apart, so they did not do the same."
            )
        together, alone = (min(took for took, _ in column) for column in zip(*times, strict=True))
        row = dict(zip(("dataset", "P", "h", "max_steps"), case, strict=True))
        table.append(row | {"members": MEMBERS, "together_s": together, "one_by_one_s": alone})
        print(f"P={case[1]} h={case[2]}: together {together:.2f} s, one by one {alone:.2f} s: {together / alone:.2f}")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
