"""An exponential integrator in function space: exact for a linear model, so that a lazy run takes a handful of steps.

At w_k the exact kernel Θ_k = J_kJ_kᵀ turns the flow of N weights into one of P numbers, ȧ = −∂ℓ/∂F(F_k + Θ_k a)/P,
which is solved over a long step; then w_{k+1} = w_k + J_kᵀa/α. For second order the step is done twice: the first pass
gives the end of the step, whose outputs and Jacobian say how F and J depart from the linearisation along the way.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.dense import hermite
from feature_lazy.dynamics.flow import Tangent, TangentSystem
from feature_lazy.dynamics.frozen import FrozenKernelFlow, way
from feature_lazy.dynamics.rkc2 import SAFETY, Chebyshev2
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial, relative_error

INNER_TOLERANCE = 3.0
"""Tolerance of the solution in function space over that of the step: measured, its error is then a tenth of it."""
CALLS = 12
"""Evaluations of the network in a step, one after another."""
INNER_STEPS = 2000
FIRST_INNER_STEP = 1e-3
"""First step to try in function space, over the whole."""


@dataclass(frozen=True)
class Path:
    """A solution in function space: nodes of every member.

    Attributes:
        times: of the nodes, from 0 to dt, for each member.
        states: at the nodes, (nodes, D) for each member.
        flops: what the solution cost each member, (E,).
        calls: evaluations in function space, (E,).
        complete: whether it reached dt, (E,) bool.
    """

    times: list[Tensor]
    states: list[Tensor]
    flops: Tensor
    calls: Tensor
    complete: Tensor

    def end(self) -> Tensor:
        """The last state of every member, (E, D)."""
        return torch.stack([nodes[-1] for nodes in self.states])


def solve(system: FrozenKernelFlow, dt: Tensor, radius: Tensor, tolerance: float) -> Path:
    """Follow the flow under a frozen kernel from (a, c) = 0 for the times dt (E,), with the one integrator."""
    # Imported here because the integrator is built on steppers, and this stepper on the integrator.
    from feature_lazy.dynamics.integrate import Limits, Method, Samples, integrate, start
    from feature_lazy.dynamics.times import EveryStep

    stepper = Chebyshev2(tolerance, radius)
    y0 = torch.zeros_like(system.outputs0).repeat(1, 2)
    state = start(system, stepper, y0, dt * FIRST_INNER_STEP, 0)
    limits = Limits(1e-12, dt, t_end=dt, max_steps=INNER_STEPS)
    times = [[] for _ in dt]
    states = [[] for _ in dt]
    flops, calls, complete = torch.zeros_like(dt), torch.zeros_like(dt), torch.zeros_like(dt, dtype=torch.bool)
    method = Method(stepper, SmoothController(safety=0.8))
    for event in integrate(system, method, state, [EveryStep()] * len(dt), [], limits):
        if isinstance(event, Samples):
            for row, member in enumerate(event.member.tolist()):
                times[member].append(event.t[row])
                states[member].append(event.y[row])
        else:
            flops[event.state.member] = event.state.flops
            calls[event.state.member] = event.state.gradients.double()
            complete[event.state.member] = torch.tensor([o == "t_end" for o in event.outcomes], device=dt.device)
    return Path([torch.stack(t) for t in times], [torch.stack(s) for s in states], flops, calls, complete)


@dataclass(frozen=True)
class TangentDense:
    """The path within a step: w_k + J_kᵀa(s)/α, and what goes beyond it in proportion to ‖a‖².

    Attributes:
        start: the linearisation at the start of the step.
        state: the start of the step.
        path: (a, c) along the step.
        flow: the model of the step in function space.
        y: the end of the step, (E, D).
        mismatch: outputs at the end beyond the model, (E, P).
    """

    start: Tangent
    state: State
    path: Path
    flow: FrozenKernelFlow
    y: Tensor
    mismatch: Tensor

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.at``."""
        a, end = self._a(rows, theta), self.path.end().chunk(2, dim=1)[0][rows]
        square = (way(a) / way(end)) ** 2
        # y + Jᵀa/α + square·(y_end − y − Jᵀa_end/α), with the two pull-backs in one.
        tangent = self.start.select(rows).pull_back(a - square * end)
        return self.state.y[rows] + tangent + square * (self.y - self.state.y)[rows]

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.outputs``; from the model of the step, without the network."""
        a, end = self._a(rows, theta), self.path.end().chunk(2, dim=1)[0][rows]
        return self.flow.model(a, rows) + (way(a) / way(end)) ** 2 * self.mismatch[rows]

    def _a(self, rows: Tensor, theta: Tensor) -> Tensor:
        """The way a(s) by cubic interpolation between the nodes of the path, (k, P)."""
        found = []
        for row, s in zip(rows.tolist(), theta * self.state.dt[rows], strict=True):
            times, nodes = self.path.times[row], self.path.states[row]
            right = int(torch.searchsorted(times, s).clamp(1, len(times) - 1))
            ends = nodes[right - 1 : right + 1]
            velocity = self.flow.evaluate(ends, rows.new_full((2,), row))[0]
            width = times[right] - times[right - 1]
            fraction = ((s - times[right - 1]) / width).clamp(0, 1)
            left_end, right_end = ((ends[i, None], velocity[i, None]) for i in (0, 1))
            found.append(hermite(fraction[None], width[None], left_end, right_end).chunk(2, dim=1)[0][0])
        return torch.stack(found)


def step_flops(system: TangentSystem) -> float:
    """Floating point operations of one step of ``TangentExponential``, without the solutions in function space."""
    flops = system.flops
    return 3 * flops.linearise + flops.kernel + 7 * flops.pull_back + 2 * flops.outputs


@dataclass(frozen=True)
class TangentExponential(SingleMethod):
    """The exponential integrator of second order. Its kernels per run are a measure of laziness.

    Attributes:
        tolerance: bound on the error of a step over the change that it makes in the outputs.
    """

    tolerance: float

    def step(self, system: TangentSystem, state: State) -> Trial:
        """See ``Stepper.step``; ‖F(w_{k+1}) − predicted‖ is the error."""
        w, member, rows = state.y, state.member, torch.arange(len(state), device=state.t.device)
        start = system.linearise(w, member)
        theta = start.kernel()
        linear = FrozenKernelFlow(theta, state.outputs, system.push)
        radius = SAFETY * linear.radius() * system.stiffness
        inner = INNER_TOLERANCE * self.tolerance

        first = solve(linear, state.dt, radius, inner)
        a1, c1 = first.end().chunk(2, dim=1)
        w1 = w + start.pull_back(a1)
        end = system.linearise(w1, member)
        # J along the way, linear in the way gone: ∫ J(s)ᵀ ȧ ds = J_kᵀa + (J_1 − J_k)ᵀ c/‖a‖, c = ∫ ‖a‖ ȧ ds.
        weighted = c1 / way(a1)
        w1 = w1 + end.pull_back(weighted) - start.pull_back(weighted)
        defect = (system.outputs(w1, member) - linear.model(a1, rows)) / way(a1) ** 2

        flow = FrozenKernelFlow(theta, state.outputs, system.push, defect=defect)
        second = solve(flow, state.dt, radius, inner)
        a2, c2 = second.end().chunk(2, dim=1)
        y = w1 + end.pull_back(a2 - a1)
        final = system.linearise(y, member)
        outputs = final.outputs
        # Two things are of third order: what the model of F misses, and the step that J at y would make, not at w_1.
        mismatch = outputs - flow.model(a2, rows)
        weighted = c2 / way(a2)
        error = final.pull_back(weighted) - end.pull_back(weighted)
        outputs_error = mismatch.abs() + (outputs - system.outputs(y - error, member)).abs()
        ratio = relative_error(error, y - w, outputs_error, outputs - state.outputs)
        velocity = final.pull_back(system.push(outputs))
        finite = first.complete & second.complete & velocity.isfinite().all(1)
        return Trial(
            y,
            velocity,
            outputs,
            torch.where(finite, ratio, torch.inf) / self.tolerance,
            torch.full_like(ratio, 2.0),
            TangentDense(start, state, second, flow, y, mismatch),
            gradients=torch.ones_like(state.gradients),
            kernels=torch.ones_like(state.kernels),
            flops=step_flops(system) + first.flops + second.flops,
            calls=CALLS + first.calls + second.calls,
            memory=state.memory,
        )
