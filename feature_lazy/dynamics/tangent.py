"""An exponential integrator in function space: exact for a linear model, so that a lazy run takes a handful of steps.

At w_k the exact kernel Θ_k = J_kJ_kᵀ turns the flow of N weights into one of P numbers, ȧ = −∂ℓ/∂F(F_k + Θ_k a)/P,
which is solved over a long step; then w_{k+1} = w_k + J_kᵀa/α. For second order the step is done twice: the first pass
gives the end of the step, whose outputs and Jacobian say how F and J depart from the linearisation along the way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.dynamics.control import SmoothController
from feature_lazy.dynamics.dense import hermite
from feature_lazy.dynamics.frozen import Bend, FrozenKernelFlow, along
from feature_lazy.dynamics.rkc2 import SAFETY, Chebyshev2
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial, norm, relative_error
from feature_lazy.dynamics.system import Tangent, TangentSystem

INNER_TOLERANCE = 5.0
"""Tolerance of the solution in function space over that of the step: its errors die out as the flow goes on, and at 3
the error at the end is no smaller than at 5 where features are learnt, and a third smaller in the lazy limit."""
FIRST_PASS = 4.0
"""The same for the first pass over that: it enters only where the second departs from it."""
CALLS = 12
"""Evaluations of the network in a step, one after another."""
INNER_STEPS = 2000
FIRST_INNER_STEP = 1e-2
"""First step to try in function space, over the whole."""


@dataclass(frozen=True)
class Path:
    """A solution a(s) in function space, with the nodes of each member.

    Attributes:
        times: of the nodes, from 0 to dt, for each member.
        a: at the nodes, (nodes, P) for each member.
        velocity: da/ds there.
        flops: what the solution cost each member, (E,).
        calls: evaluations in function space, (E,).
        complete: whether it reached dt, (E,) bool.
    """

    times: list[Tensor]
    a: list[Tensor]
    velocity: list[Tensor]
    flops: Tensor
    calls: Tensor
    complete: Tensor

    def end(self) -> Tensor:
        """A at dt, (E, P)."""
        return _ends(self.a)

    def moments(self, direction: Tensor) -> list[Tensor]:
        """c = ∫₀ˢ (u·a) ȧ ds at the nodes for directions u (E, P): (nodes, P) for each member."""
        paths = zip(self.times, self.a, self.velocity, direction, strict=True)
        return [_moments(times, a, velocity, u) for times, a, velocity, u in paths]

    def at(self, member: int, s: Tensor, values: Tensor, slopes: Tensor) -> Tensor:
        """What has some values and slopes at a member's nodes, (nodes, P), by cubic interpolation at s (k,): (k, P)."""
        times = self.times[member]
        right = torch.searchsorted(times, s).clamp(1, len(times) - 1)
        left = right - 1
        width = times[right] - times[left]
        fraction = ((s - times[left]) / width).clamp(0, 1)
        return hermite(fraction, width, (values[left], slopes[left]), (values[right], slopes[right]))


def _ends(nodes: list[Tensor]) -> Tensor:
    """The last of each member's nodes, (E, P)."""
    return torch.stack([values[-1] for values in nodes])


def _moments(times: Tensor, a: Tensor, velocity: Tensor, direction: Tensor) -> Tensor:
    """See ``Path.moments``, for one member; by Simpson's rule, which is all but exact for a cubic between the nodes."""
    width = times.diff().to(a)[:, None]
    middle = (a[1:] + a[:-1]) / 2 - width / 8 * velocity.diff(dim=0)
    velocity_there = 1.5 * a.diff(dim=0) / width - (velocity[1:] + velocity[:-1]) / 4
    ends = along(direction, a) * velocity
    parts = width / 6 * (ends[1:] + ends[:-1] + 4 * along(direction, middle) * velocity_there)
    return torch.cat([torch.zeros_like(a[:1]), parts.cumsum(0)])


def solve(system: FrozenKernelFlow, dt: Tensor, radius: Tensor, tolerance: float, gone: Tensor) -> Path:
    """Follow the flow under a frozen kernel from a = 0 for the times dt (E,), with the one integrator.

    The outputs have ``gone`` a way (E,) before, which counts for the tolerance as it does for the step that this
    solution is for. a itself is free: what is seen of it are F = F₀ + Θa and w = Jᵀa/α, and F has the larger error.
    """
    # Imported here because the integrator is built on steppers, and this stepper on the integrator.
    from feature_lazy.dynamics.integrate import Limits, Method, Samples, integrate, start
    from feature_lazy.dynamics.times import EveryStep

    stepper = Chebyshev2(tolerance, radius)
    state = start(system, stepper, torch.zeros_like(system.outputs0), dt * FIRST_INNER_STEP, 0)
    state = replace(state, way=torch.stack([torch.full_like(gone, torch.inf), gone], dim=1))
    limits = Limits(1e-12, dt, t_end=dt, max_steps=INNER_STEPS)
    times = [[] for _ in dt]
    nodes = [[] for _ in dt]
    flops, calls, complete = torch.zeros_like(dt), torch.zeros_like(dt), torch.zeros_like(dt, dtype=torch.bool)
    method = Method(stepper, SmoothController(safety=0.8))
    for event in integrate(system, method, state, [EveryStep()] * len(dt), [], limits):
        if isinstance(event, Samples):
            for row, member in enumerate(event.member.tolist()):
                times[member].append(event.t[row])
                nodes[member].append(event.y[row])
        else:
            flops[event.state.member] = event.state.flops
            calls[event.state.member] = event.state.gradients.double()
            complete[event.state.member] = torch.tensor([o == "t_end" for o in event.outcomes], device=dt.device)
    a = [torch.stack(n) for n in nodes]
    at = [torch.stack(t) for t in times]
    velocity = [system.velocities(n, member) for member, n in enumerate(a)]
    return Path(at, a, velocity, flops, calls, complete)


@dataclass(frozen=True)
class TangentDense:
    """The path within a step: w(s) = w_k + J_kᵀa + (J_1 − J_k)ᵀc/α with c = ∫₀ˢ (u·a) ȧ ds.

    Attributes:
        start: the linearisation at the start of the step.
        end: that at its end as the first pass saw it.
        state: the start of the step.
        path: a along the step.
        moments: c at the nodes of the path.
        flow: the model of the step in function space.
        direction: u, (E, P).
        mismatch: outputs at the end beyond the model, (E, P).
    """

    start: Tangent
    end: Tangent
    state: State
    path: Path
    moments: list[Tensor]
    flow: FrozenKernelFlow
    direction: Tensor
    mismatch: Tensor

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.at``."""
        a = self._a(rows, theta)
        moments = []
        for s, row in zip(self._seconds(rows, theta), rows.tolist(), strict=True):
            slopes = along(self.direction[row], self.path.a[row]) * self.path.velocity[row]
            moments.append(self.path.at(row, s, self.moments[row], slopes))
        moved = between(self.start.select(rows), self.end.select(rows), a, torch.cat(moments))
        return self.state.y[rows] + moved

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.outputs``; from the model of the step, without the network."""
        a, end = self._a(rows, theta), self.path.end()[rows]
        # What the model misses is of third order in the way gone.
        share = along(self.direction[rows], a) / along(self.direction[rows], end)
        return self.flow.outputs(a, rows) + share**3 * self.mismatch[rows]

    def _seconds(self, rows: Tensor, theta: Tensor) -> Sequence[Tensor]:
        """Times from the start of the step, (1,) each."""
        return (theta * self.state.dt[rows]).split(1)

    def _a(self, rows: Tensor, theta: Tensor) -> Tensor:
        """The way a(s), (k, P)."""
        path, times = self.path, zip(self._seconds(rows, theta), rows.tolist(), strict=True)
        return torch.cat([path.at(row, s, path.a[row], path.velocity[row]) for s, row in times])


def between(start: Tangent, end: Tangent, a: Tensor, c: Tensor) -> Tensor:
    """∫ J(s)ᵀ ȧ ds/α = (J_kᵀ(a − c) + J_1ᵀc)/α for J linear in u·a: (E, D)."""
    return start.pull_back(a - c) + end.pull_back(c)


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

        def push(outputs: Tensor, rows: Tensor) -> Tensor:
            return system.push(outputs, member[rows])

        start = system.linearise(w, member)
        theta = start.kernel()
        linear = FrozenKernelFlow(theta, state.outputs, push)
        radius = SAFETY * linear.radius() * system.stiffness
        inner = INNER_TOLERANCE * self.tolerance

        gone = state.way[:, 1]
        first = solve(linear, state.dt, radius, FIRST_PASS * inner, gone)
        a1, outputs1 = first.end(), linear.outputs(first.end(), rows)
        # How far the weights have come along the way from w_k to w_1: (w − w_k)·(w_1 − w_k) = aᵀΘa_1/α².
        moved = outputs1 - state.outputs
        direction = moved / along(moved, a1)
        end = system.linearise(w + start.pull_back(a1), member)
        w1 = w + between(start, end, a1, _ends(first.moments(direction)))
        bend = Bend(direction, system.outputs(w1, member) - outputs1)

        flow = FrozenKernelFlow(theta, state.outputs, push, bend)
        second = solve(flow, state.dt, radius, inner, gone + norm(moved))
        a2, moments = second.end(), second.moments(direction)
        c2 = _ends(moments)
        y = w + between(start, end, a2, c2)
        final = system.linearise(y, member)
        outputs = final.outputs
        # Two things are of third order: what the model of F misses, and the step that J at y would make, not at w_1.
        mismatch = outputs - flow.outputs(a2, rows)
        error = final.pull_back(c2) - end.pull_back(c2)
        outputs_error = mismatch.abs() + (outputs - system.outputs(y - error, member)).abs()
        ratio = relative_error(state, y, error, outputs, outputs_error)
        velocity = final.pull_back(system.push(outputs, member))
        finite = first.complete & second.complete & velocity.isfinite().all(1)
        return Trial(
            y,
            velocity,
            outputs,
            torch.where(finite, ratio, torch.inf) / self.tolerance,
            torch.full_like(ratio, 2.0),
            TangentDense(start, end, state, second, moments, flow, direction, mismatch),
            gradients=torch.ones_like(state.gradients),
            kernels=torch.ones_like(state.kernels),
            flops=step_flops(system) + first.flops + second.flops,
            calls=CALLS + first.calls + second.calls,
            memory=state.memory,
        )
