"""Steppers against the article's rule: work, CPU time of one thread, and errors, at equal data, weights and loss.

    python benchmarks/solvers.py [--cases digits-h30 digits-h100 mnist5k-h200] [--x 1e-3 … 1e6] [--json FILE]

One row for each case, stepper and end: convergence, and 80 % of its time. ``gradient_equivalents`` are the flops of all
products done, kernels, solutions in function space and rejected steps included, over those of one gradient. Errors are
relative norms of F on the test set and of w − w₀. Truth is SciPy's DOP853 for α(w − w₀).
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.integrate import DOP853
from scipy.optimize import brentq

from feature_lazy.data.prepare import prepare
from feature_lazy.dynamics.events import converged, half_loss
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Limits, Method, integrate, start
from feature_lazy.dynamics.losses import SoftHinge
from feature_lazy.dynamics.messages import Finished, Samples
from feature_lazy.dynamics.methods import STEPPERS, method
from feature_lazy.dynamics.times import GivenTimes
from feature_lazy.networks.activations import Softplus, scaled
from feature_lazy.networks.fully_connected import FullyConnected

MOST = 0.2
"""Error of F, or of w − w₀, above which something is broken: the largest measured, over all tolerances, is 0.03."""
SHORT = 0.8
"""The other end, over the time of convergence: there no method is helped by the stop."""


@dataclass(frozen=True)
class Problem:
    """Networks of one width on one data set, and how exactly the truth is computed."""

    dataset: str
    n_train: int
    h: int
    x: tuple[float, ...]
    rtol: float


ALL_X = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 1e2, 1e4, 1e6)
PROBLEMS = {
    "digits-h30": Problem("digits", 500, 30, ALL_X, 1e-8),
    "digits-h100": Problem("digits", 500, 100, ALL_X, 1e-8),
    "mnist5k-h200": Problem("mnist5k", 1000, 200, (1e-2, 1.0, 1e2, 1e4), 1e-6),
}


@dataclass
class Ledger:
    """A stepper that notes what has been spent when each step begins."""

    inner: Any
    began: float = field(default_factory=time.process_time)
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def memory(self) -> int:
        """See ``Stepper.memory``."""
        return self.inner.memory

    def begin(self, system: Any, state: Any) -> Any:
        """See ``Stepper.begin``."""
        return self.inner.begin(system, state)

    def step(self, system: Any, state: Any) -> Any:
        """See ``Stepper.step``."""
        self.note(state)
        return self.inner.step(system, state)

    def note(self, state: Any) -> None:
        """Add a line."""
        spent = {name: float(getattr(state, name)) for name in ("t", "gradients", "kernels", "flops")}
        self.rows.append(spent | {"cpu_s": time.process_time() - self.began})


class Case:
    """One network at one α, depth 3, seed 0."""

    def __init__(self, problem: Problem, x: float) -> None:
        """Width h and √h·α = x."""
        self.problem, self.x = problem, x
        self.data = prepare(problem.dataset, problem.n_train, 400, 0)
        self.net = FullyConnected(self.data.input_dim, [problem.h] * 3, scaled(Softplus(5.0)))
        self.w0 = self.net.layout.flatten({name: w[None] for name, w in self.net.init(0).items()})
        self.alpha = torch.tensor([x / math.sqrt(problem.h)], dtype=torch.float64)
        self.scale = torch.tensor([min(1.0, x)], dtype=torch.float64)
        loss, y = SoftHinge(), self.data.y_train
        self.flow = NetworkFlow(self.net, self.data.x_train, y, loss, alpha=self.alpha, w0=self.w0)
        self.events = [half_loss(loss, y), converged(loss, y)]

    def predictor(self, w: torch.Tensor) -> torch.Tensor:
        """F on the test set."""
        f, f0 = (self.net.apply(self.net.layout.unflatten(v), self.data.x_test) for v in (w, self.w0))
        return self.alpha[:, None] * (f - f0)

    def weights(self, u: np.ndarray) -> torch.Tensor:
        """W from u = α(w − w₀), which has the size of F at every α."""
        return self.w0 + torch.from_numpy(u)[None] / self.alpha[:, None]

    @cached_property
    def truth(self) -> tuple[float, torch.Tensor, torch.Tensor]:
        """Time of convergence, and the weights at 80 % of it and at it."""
        one = torch.tensor([0])

        def velocity(_: float, u: np.ndarray) -> np.ndarray:
            return (self.alpha[:, None] * self.flow.evaluate(self.weights(u), one)[0])[0].numpy()

        def missing(u: np.ndarray) -> float:
            return float(self.events[1].value(self.flow.outputs(self.weights(u), one)))

        def solver(t: float, u: np.ndarray, end: float = math.inf) -> DOP853:
            return DOP853(velocity, t, u, end, rtol=self.problem.rtol, atol=self.problem.rtol / 100)

        ode = solver(0.0, np.zeros(self.w0.shape[1]))
        passed = [(ode.t, ode.y)]
        while missing(ode.y) >= 0:
            ode.step()
            passed.append((ode.t, ode.y))
        inside = ode.dense_output()
        t_stop = float(brentq(lambda t: missing(inside(t)), ode.t_old, ode.t, xtol=1e-10 * ode.t))
        before = max(point for point in passed if point[0] <= SHORT * t_stop)
        last = solver(*before, end=SHORT * t_stop)
        while last.status == "running":
            last.step()
        return t_stop, self.weights(last.y), self.weights(inside(t_stop))

    def follow(self, how: Method, t_short: float) -> tuple[list[torch.Tensor], list[dict[str, float]]]:
        """Weights at a time and at the end, and what they had cost by then."""
        ledger = Ledger(how.stepper)
        state = start(self.flow, ledger, self.w0, self.scale, len(self.events))
        states = []
        limits = Limits(1e-12, self.scale, max_steps=200_000)
        for event in integrate(
            self.flow, replace(how, stepper=ledger), state, [GivenTimes([t_short])], self.events, limits
        ):
            if isinstance(event, Samples):
                states += [y[None] for t, y in zip(event.t, event.y, strict=True) if t > 0]
            elif isinstance(event, Finished):
                states.append(event.state.y)
                ledger.note(event.state)
        return states, [next(row for row in ledger.rows if row["t"] >= t_short), ledger.rows[-1]]


def relative(value: torch.Tensor, truth: torch.Tensor) -> float:
    """Relative norm of the difference."""
    return float((value - truth).norm() / truth.norm())


def rows(case: Case, names: list[str], tolerance: float) -> list[dict[str, object]]:
    """One row for each stepper and end.

    Raises:
        SystemExit: an error that says that something is broken.
    """
    t_stop, *truth = case.truth
    found: list[dict[str, object]] = []
    for name in names:
        states, costs = case.follow(method(name, tolerance), SHORT * t_stop)
        for until, w, w_true, cost in zip(("80%", "convergence"), states, truth, costs, strict=True):
            row: dict[str, Any] = {
                "dataset": case.problem.dataset,
                "P": case.problem.n_train,
                "h": case.problem.h,
                "sqrt_h_alpha": case.x,
                "until": until,
                "stepper": name,
                "tolerance": None if name == "article" else tolerance,
                "gradients": int(cost["gradients"]),
                "kernels": int(cost["kernels"]),
                "gradient_equivalents": cost["flops"] / case.flow.flops.evaluate,
                "cpu_s": cost["cpu_s"],
                "error_F": relative(case.predictor(w), case.predictor(w_true)),
                "error_w": relative(w - case.w0, w_true - case.w0),
                "error_t_stop": abs(costs[-1]["t"] / t_stop - 1),
            }
            if not max(row["error_F"], row["error_w"]) < MOST:
                raise SystemExit(
                    f"{name}, √hα = {case.x:g}, {until}: error of F {row['error_F']:.2g}, of w {row['error_w']:.2g}. "
                    "This is no result: the stepper, or what this script takes from it, is broken."
                )
            found.append(row)
            print(
                f"{row['dataset']} h={row['h']} √hα={case.x:<6g} {until:11s} {name:8s} "
                f"{row['gradient_equivalents']:6.0f} gradient-equivalents {row['kernels']:3d} kernels "
                f"{row['cpu_s']:7.2f} s  error of F {row['error_F']:.1e}  of w {row['error_w']:.1e}",
                flush=True,
            )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(PROBLEMS), choices=PROBLEMS)
    parser.add_argument("--x", type=float, nargs="+", help="values of √h·α; default: those of the case")
    parser.add_argument("--steppers", nargs="+", default=["article", *STEPPERS])
    parser.add_argument("--tolerance", type=float, nargs="+", default=[1e-2])
    parser.add_argument("--json", help="write all rows to this file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    table: list[dict[str, object]] = []
    for name in options.cases:
        problem = PROBLEMS[name]
        for x in options.x or problem.x:
            case = Case(problem, x)
            for tolerance in options.tolerance:
                table += rows(case, options.steppers, tolerance)
                if options.json:  # after every case: a benchmark that is stopped has not run for nothing
                    with open(options.json, "w") as file:
                        json.dump(table, file, indent=1)


if __name__ == "__main__":
    main()
