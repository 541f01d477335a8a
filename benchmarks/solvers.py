"""Steppers against the article's rule: work, wall time and error of F, on digits.

    python benchmarks/solvers.py [--widths 100] [--x 1e-3 1e-2 … 1e6] [--json FILE]

One row for each case and stepper. ``gradient_equivalents`` are the flops of all products done, kernels and rejected
steps included, over those of one gradient. Truth is ``auto`` at a tolerance of 3e-4, whose error the tests bound by
the reference trajectories; errors are relative norms of F on the test set, and of w − w₀.
"""

import argparse
import json
import math
import time

import torch

from feature_lazy.activations import softplus_activation
from feature_lazy.architectures import FullyConnected
from feature_lazy.datasets.prepare import prepare
from feature_lazy.dynamics import (
    GivenTimes,
    Limits,
    Method,
    NetworkFlow,
    Samples,
    converged,
    half_loss,
    integrate,
    method,
    start,
)
from feature_lazy.losses import SoftHinge

TRUTH = 3e-4


class Case:
    """One network on digits at one α."""

    def __init__(self, n_train: int, h: int, x: float) -> None:
        """Width h and √h·α = x, depth 3, seed 0."""
        self.data = prepare("digits", n_train, 400, 0)
        self.net = FullyConnected(self.data.input_dim, [h] * 3, softplus_activation(5.0))
        self.w0 = self.net.layout.flatten({name: w[None] for name, w in self.net.init(0).items()})
        self.alpha = torch.tensor([x / math.sqrt(h)], dtype=torch.float64)
        self.scale = torch.tensor([min(1.0, x)], dtype=torch.float64)
        loss, y = SoftHinge(), self.data.y_train
        self.flow = NetworkFlow(self.net, self.data.x_train, y, loss, alpha=self.alpha, w0=self.w0)
        self.events = [half_loss(loss, y), converged(loss, y)]

    def predictor(self, w: torch.Tensor) -> torch.Tensor:
        """F on the test set."""
        f, f0 = (self.net.apply(self.net.layout.unflatten(v), self.data.x_test) for v in (w, self.w0))
        return self.alpha[:, None] * (f - f0)

    def follow(self, how: Method, times: list[float]) -> tuple[list[torch.Tensor], dict[str, float]]:
        """States at the times and at the end, and what they cost."""
        state = start(self.flow, how.stepper, self.w0, self.scale, len(self.events))
        states, began = [], time.perf_counter()
        limits = Limits(1e-12, self.scale, max_steps=200_000)
        for event in integrate(self.flow, how, state, [GivenTimes(times)], self.events, limits):
            if isinstance(event, Samples):
                states += [y[None] for t, y in zip(event.t, event.y, strict=True) if t > 0]
            else:
                states.append(event.state.y)
                state = event.state
        return states, {
            "t_stop": float(state.t),
            "gradients": int(state.gradients),
            "kernels": int(state.kernels),
            "gradient_equivalents": float(state.flops) / self.flow.flops.evaluate,
            "wall_s": time.perf_counter() - began,
        }


def relative(value: torch.Tensor, truth: torch.Tensor) -> float:
    """Relative norm of the difference."""
    return float((value - truth).norm() / truth.norm())


def rows(h: int, x: float, names: list[str], tolerance: float) -> list[dict[str, object]]:
    """One row for each stepper and end, 80 % of the time of convergence and convergence."""
    case = Case(500, h, x)
    truth_method = method("auto", TRUTH)
    t_stop = case.follow(truth_method, [])[1]["t_stop"]
    truth, _ = case.follow(truth_method, [0.8 * t_stop])
    found: list[dict[str, object]] = []
    for name in names:
        states, cost = case.follow(method(name, tolerance), [0.8 * t_stop])
        for until, w, w_true in zip(("80%", "convergence"), states[-2:], truth[-2:], strict=True):
            errors = {
                "error_F": relative(case.predictor(w), case.predictor(w_true)),
                "error_w": relative(w - case.w0, w_true - case.w0),
            }
            setting = {"dataset": "digits", "P": 500, "h": h, "sqrt_h_alpha": x, "until": until, "stepper": name}
            found.append(setting | cost | errors)
        print(
            f"h={h} √hα={x:<6g} {name:8s} {cost['gradient_equivalents']:7.0f} gradient-equivalents "
            f"{cost['kernels']:4d} kernels {cost['wall_s']:6.2f} s  error of F {found[-2]['error_F']:.1e} at 80 %, "
            f"{found[-1]['error_F']:.1e} at the end",
            flush=True,
        )
    return found


def main() -> None:
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[100])
    parser.add_argument("--x", type=float, nargs="+", default=[1e-3, 1e-2, 1e-1, 1, 10, 1e2, 1e4, 1e6])
    parser.add_argument("--steppers", nargs="+", default=["article", "auto", "rk32", "rkc2"])
    parser.add_argument("--tolerance", type=float, default=1e-2)
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = [row for h in options.widths for x in options.x for row in rows(h, x, options.steppers, options.tolerance)]
    if options.json:
        with open(options.json, "w") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
