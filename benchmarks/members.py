"""Networks trained together against one by one, on one core.

    python benchmarks/members.py [--cases NAME …] [--json FILE]

The same runs both ways: the work is the same, only the batch differs. Together means in batches of at most as many as
``batch=auto`` takes, which is one where a batch does not pay. One by one a part of the seeds stands for all of them.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from feature_lazy.core.memory import chunks
from feature_lazy.data.prepare import prepare
from feature_lazy.dynamics.choices import GradientFlow
from feature_lazy.dynamics.events import converged
from feature_lazy.dynamics.flow import NetworkFlow, members_that_pay
from feature_lazy.dynamics.integrate import Limits, finish, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.methods import method
from feature_lazy.dynamics.times import LogTimes
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected
from feature_lazy.settings.scales import rescaled

MEMORY = 2**30
"""Bytes for a batch, the default of ``memory_limit``."""
APART = 1e-6
"""How far weights may be apart, over how far they went: rounding, which a batch does differently."""


@dataclass(frozen=True)
class Case:
    """Networks on digits.

    Attributes:
        n_train: P.
        h: width of each of 3 layers.
        x: √h·α.
        seeds: networks of each α.
        max_steps: where large networks are stopped early.
        alone: seeds of each α that are trained one by one.
    """

    n_train: int
    h: int
    x: tuple[float, ...]
    seeds: int = 20
    max_steps: int = 10**6
    alone: int = 20


RANGE = tuple(10 ** (-2 + 4 * k / 7) for k in range(8))
"""√h·α from 0.01 to 100."""
CASES = {
    "seeds-256-30": Case(256, 30, (1.0,)),
    "seeds-1000-256": Case(1000, 256, (1.0,), max_steps=12),
    "alphas-256-30": Case(256, 30, RANGE, alone=2),
    # Two networks fit the cache together, and no more: the least that a batch saves.
    "alphas-256-100": Case(256, 100, RANGE, seeds=2, max_steps=12, alone=2),
    "alphas-1000-30": Case(1000, 30, RANGE, seeds=2, max_steps=6, alone=2),
    "alphas-1000-256": Case(1000, 256, RANGE, seeds=2, max_steps=4, alone=2),
}


class Networks:
    """The networks of a case, those of each α side by side."""

    def __init__(self, case: Case) -> None:
        """Make data and initial weights."""
        self.case, self.data, self.loss = case, prepare("digits", case.n_train, 100, 0), SoftHinge()
        self.net = FullyConnected(self.data.input_dim, [case.h] * 3, scaled(Softplus(5.0)))
        flat = self.net.layout.flatten
        one = torch.cat([flat({k: v[None] for k, v in self.net.init(s).items()}) for s in range(case.seeds)])
        self.w0 = one.repeat(len(case.x), 1)
        self.alpha = torch.tensor(case.x, dtype=torch.float64).repeat_interleave(case.seeds) / rescaled(1.0, case.h)
        self.most = min(len(self.w0), members_that_pay(self.net, self.data.x_train, MEMORY))

    def seconds(self, rows: Sequence[int], most: int) -> tuple[float, Tensor]:
        """CPU time of some networks, at most so many at once, and w − w₀ at their ends."""
        began, ends = time.process_time(), []
        for part in chunks(len(rows), most):
            w0, alpha = self.w0[rows[part]], self.alpha[rows[part]]
            flow = NetworkFlow(self.net, self.data.x_train, self.data.y_train, self.loss, alpha=alpha, w0=w0)
            training = GradientFlow(method("auto", 1e-2)).prepare(flow, w0)
            state = start(flow, training.method.stepper, w0, training.dt, 1)
            limits = Limits(1e-10, training.dt, max_steps=self.case.max_steps)
            events = [converged(self.loss, self.data.y_train)]
            ended = finish(flow, training.method, state, limits, events=events, times=LogTimes(1, 1e-3))
            ends.append(ended.state.y - w0)
        return time.process_time() - began, torch.cat(ends)


def row(name: str, case: Case) -> dict[str, object]:
    """Each way twice in turn; the faster of the two counts.

    Raises:
        SystemExit: the two ways ended with other weights.
    """
    networks, together, alone = Networks(case), [], []
    every = range(len(networks.w0))
    some = [index for index in every if index % case.seeds < case.alone]
    networks.seconds(some[:1], 1)  # what the first call loads is not part of it
    for _ in range(2):
        took, ends = networks.seconds(every, networks.most)
        took_alone, expected = networks.seconds(some, 1)
        together.append(took)
        alone.append(took_alone * len(every) / len(some))
        apart = float(((ends[some] - expected).norm(dim=1) / expected.norm(dim=1)).max())
        if not apart < APART:
            raise SystemExit(f"{name}: both ways ended {apart:.2g} apart, so they did not do the same.")
    took, one_by_one = min(together), min(alone)
    print(
        f"{name}: {len(every)} networks, {networks.most} at once: {took:.2f} s, one by one {one_by_one:.2f} s: "
        f"{took / one_by_one:.2f}",
        flush=True,
    )
    found = {"at_once": networks.most, "together_s": took, "one_by_one_s": one_by_one, "apart": apart}
    return {"case": name, **asdict(case), **found}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table = [row(name, CASES[name]) for name in options.cases]
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
