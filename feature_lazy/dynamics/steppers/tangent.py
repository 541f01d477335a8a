"""An exponential integrator in function space: exact for a linear model, so that a lazy run takes a handful of steps.

At w_k the exact kernel Θ_k = J_kJ_kᵀ turns the flow of N weights into one of P numbers, ȧ = −∂ℓ/∂F(F_k + Θ_k a)/P,
which is solved over a long step; then w_{k+1} = w_k + J_kᵀa/α. For third order the step is done twice: the first pass
gives the way of the step, and the outputs and Jacobians at its middle and its end say how F and J depart from the
linearisation along it.

A penalty (λ/2)‖w − c‖² adds one direction: with u = w_k − c the step is w − w_k = J_kᵀa/α − d·u, where ȧ = b − λa and
d = 1 − e^{−λs}. So a has one entry more, J one row more, along −u, and F one output more (``Pulled``); all else is as
without.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.dynamics.frozen import Bend, FrozenKernelFlow, along
from feature_lazy.dynamics.regularisers import Penalty
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial, norm, relative_error
from feature_lazy.dynamics.steppers.path import Path, ends, over_length, solve
from feature_lazy.dynamics.steppers.rkc2 import Chebyshev2
from feature_lazy.dynamics.system import Force, Tangent, TangentSystem

INNER_TOLERANCE = 5.0
"""Tolerance of the solution in function space over that of the step: its errors die out as the flow goes on, and at 3
the error at the end is no smaller than at 5 where features are learnt, and a third smaller in the lazy limit."""
FIRST_PASS = 4.0
"""The same for the first pass over that: it enters only where the second departs from it."""
EXTRAPOLATED = 3.0
"""Bound on the error that is estimated, over the tolerance, of a step on all patterns; on a quarter of them it is half
that. It is the error of J linear along the way, and the step has it quadratic. Measured at the crossover (digits,
h = 30), where errors at the end are then those of the article's rule."""
CALLS = 16
"""Evaluations of the network in a step, one after another."""


@dataclass(frozen=True)
class Curve:
    """J on the way of a step, quadratic in how far a has come, x = u·a: at x = 0, at its middle and at x = 1.

    Attributes:
        start: the linearisation at x = 0.
        middle: that at the middle.
        end: that at x = 1.
        x: where the middle is, (M, 1).
    """

    start: Tangent
    middle: Tangent
    end: Tangent
    x: Tensor

    def select(self, rows: Tensor) -> "Curve":
        """The same for some members, (M,)."""
        return Curve(self.start.select(rows), self.middle.select(rows), self.end.select(rows), self.x[rows])

    def straight(self, a: Tensor, c: Tensor) -> Tensor:
        """∫ Jᵀ ȧ ds/α for J linear between the start and the end, with c = ∫ x ȧ ds: (M, D)."""
        return self.start.pull_back(a - c) + self.end.pull_back(c)

    def beyond(self, d: Tensor) -> Tensor:
        """What the middle adds to it, with d = ∫ x(x − 1) ȧ ds: (M, D)."""
        x = self.x
        ends = self.start.pull_back(d / x) + self.end.pull_back(d / (1 - x))
        return ends - self.middle.pull_back(d / (x * (1 - x)))


@dataclass(frozen=True)
class TangentDense:
    """The path within a step, w(s) = w_k + ∫ Jᵀ ȧ ds/α.

    Attributes:
        curve: J along it.
        state: the start of the step.
        path: a along the step.
        moments: ∫₀ˢ xᵏ ȧ ds at the nodes of the path, for k = 1 and 2.
        flow: the model of the step in function space.
        direction: u, (M, P).
        mismatch: outputs at the end beyond the model, (M, P).
    """

    curve: Curve
    state: State
    path: Path
    moments: tuple[list[Tensor], list[Tensor]]
    flow: FrozenKernelFlow
    direction: Tensor
    mismatch: Tensor

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        a, (c, c2) = self._a(rows, theta), (self._moment(rows, theta, power) for power in (1, 2))
        curve = self.curve.select(rows)
        return self.state.y[rows] + curve.straight(a, c) + curve.beyond(c2 - c)

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.outputs``; from the model of the step, without the network."""
        a, end = self._a(rows, theta), self.path.end()[rows]
        # What the model misses is of third order in the way gone.
        share = over_length(along(self.direction[rows], a), along(self.direction[rows], end))
        outputs = self.flow.outputs(a, rows) + share**3 * self.mismatch[rows]
        return outputs[:, : self.state.outputs.shape[1]]

    def _seconds(self, rows: Tensor, theta: Tensor) -> Sequence[Tensor]:
        """Times from the start of the step, (1,) each."""
        return (theta * self.state.dt[rows]).split(1)

    def _a(self, rows: Tensor, theta: Tensor) -> Tensor:
        """The way a(s), (M, P)."""
        path, times = self.path, zip(self._seconds(rows, theta), rows.tolist(), strict=True)
        return torch.cat([path.at(row, s, path.a[row], path.velocity[row]) for s, row in times])

    def _moment(self, rows: Tensor, theta: Tensor, power: int) -> Tensor:
        """∫₀ˢ xᵏ ȧ ds, (M, P)."""
        found, nodes = [], self.moments[power - 1]
        for s, row in zip(self._seconds(rows, theta), rows.tolist(), strict=True):
            slopes = self.path.slopes(row, self.direction[row], nodes[row], power)
            found.append(self.path.at(row, s, nodes[row], slopes))
        return torch.cat(found)


@dataclass(frozen=True)
class Within:
    """A flow within a step, for the members in the step.

    Attributes:
        system: the flow.
        state: the start of the step.
    """

    system: TangentSystem
    state: State

    decay = 0.0
    """λ of a penalty."""

    @staticmethod
    def of(system: TangentSystem, state: State) -> "Within":
        """The system at a state, with its penalty if it has one."""
        penalty, y = system.penalty, state.y
        if penalty is None or penalty.rate is None:
            return Within(system, state)
        away, alpha = penalty.away(y, state.member), system.alpha[state.member, None]
        length = (alpha * away).square().sum(1, keepdim=True)
        scale = torch.where(length > 0, state.outputs.shape[1] ** 0.5 / length, 1.0)
        return Pulled(system, state, penalty, alpha, scale * away, penalty.rate / scale)

    def widened(self, outputs: Tensor, y: Tensor) -> Tensor:
        """All outputs at y (M, D), for those of the network (M, P)."""
        return outputs

    def force(self, rows: Tensor) -> Force:
        """What drives a, for rows (M,) of the step."""
        return self.system.force(self.state.member[rows])

    def linearise(self, y: Tensor) -> Tangent:
        """All outputs to first order around y (M, D)."""
        return self.system.linearise(y, self.state.member)

    def velocity(self, tangent: Tangent, y: Tensor) -> Tensor:
        """ẏ at y (M, D), from the flow to first order there."""
        return tangent.pull_back(self.system.force(self.state.member).push(tangent.outputs))


@dataclass(frozen=True)
class Pulled(Within):
    """The flow under a penalty. Its last output is −α²·v·(w − w_k), v ∝ u, of the size √P of F where w is c.

    Attributes:
        penalty: R.
        alpha: α, (M, 1).
        direction: v, (M, D).
        gain: what drives the last entry of a, λ‖u‖/‖v‖, (M, 1).
    """

    penalty: Penalty
    alpha: Tensor
    direction: Tensor
    gain: Tensor

    @property
    def decay(self) -> float:  # type: ignore[override]
        """λ."""
        return self.penalty.rate or 0.0

    def widened(self, outputs: Tensor, y: Tensor) -> Tensor:
        last = -(self.alpha**2) * (self.direction * (y - self.state.y)).sum(1, keepdim=True)
        return torch.cat([outputs, last], dim=1)

    def force(self, rows: Tensor) -> Force:
        return PulledForce(super().force(rows), self.gain[rows])

    def linearise(self, y: Tensor) -> "PulledTangent":
        tangent = super().linearise(y)
        return PulledTangent(tangent, self.widened(tangent.outputs, y), self.alpha, self.direction)

    def velocity(self, tangent: Tangent, y: Tensor) -> Tensor:
        assert isinstance(tangent, PulledTangent)
        return super().velocity(tangent.network, y) + self.penalty.pull(y, self.state.member)


@dataclass(frozen=True)
class PulledForce:
    """See ``Force``: what drives the last entry of a besides, its gain (M, 1)."""

    network: Force
    gain: Tensor

    def push(self, outputs: Tensor) -> Tensor:
        return torch.cat([self.network.push(outputs[:, :-1]), self.gain], dim=1)

    def curvatures(self, outputs: Tensor) -> Tensor:
        return self.network.curvatures(outputs[:, :-1])


@dataclass(frozen=True)
class PulledTangent:
    """See ``Tangent``, with one row of J more, −α·v.

    Attributes:
        network: the other rows.
        outputs: the outputs there, (M, P + 1).
        alpha: α, (M, 1).
        direction: v, (M, D).
    """

    network: Tangent
    outputs: Tensor
    alpha: Tensor
    direction: Tensor

    def kernel(self) -> Tensor:
        across = -self.network.push_forward(self.direction)[..., None]
        corner = (self.alpha * self.direction).square().sum(1)[:, None, None]
        top = torch.cat([self.network.kernel(), across], dim=2)
        return torch.cat([top, torch.cat([across.mT, corner], dim=2)], dim=1)

    def push_forward(self, v: Tensor) -> Tensor:
        last = -(self.alpha**2) * (self.direction * v).sum(1, keepdim=True)
        return torch.cat([self.network.push_forward(v), last], dim=1)

    def pull_back(self, a: Tensor) -> Tensor:
        return self.network.pull_back(a[:, :-1]) - a[:, -1:] * self.direction

    def select(self, rows: Tensor) -> "PulledTangent":
        return PulledTangent(self.network.select(rows), self.outputs[rows], self.alpha[rows], self.direction[rows])


def _bent(
    within: Within, start: Tangent, linear: FrozenKernelFlow, first: Path, outputs1: Tensor
) -> tuple[Curve, Bend]:
    """How J and F change along the way of a step, by the network at the middle and the end of its first pass.

    ``outputs1`` is where that leads by the linear model, (M, P).
    """
    w, rows, a1 = within.state.y, torch.arange(len(within.state), device=within.state.t.device), first.end()
    # How far the weights have come along the way from w_k to w_1: (w − w_k)·(w_1 − w_k) = aᵀΘa_1/α².
    moved = outputs1 - linear.outputs0
    direction = over_length(moved, along(moved, a1))
    half = first.halfway(direction)
    x = along(direction, half)
    x = torch.where((x > 0) & (x < 1), x, 0.5)
    ahead, c1 = start.pull_back(a1), ends(first.moments(direction, 1))
    # The way is not straight: to second order, by the Jacobian at the end of a straight one.
    aside = within.linearise(w + ahead).pull_back(c1) - start.pull_back(c1)
    middle = within.linearise(w + start.pull_back(half) + x.square() * aside)
    end = within.linearise(w + ahead + aside)
    bend = Bend.through(direction, (x, middle.outputs - linear.outputs(half, rows)), end.outputs - outputs1)
    return Curve(start, middle, end, x), bend


def step_flops(system: TangentSystem) -> float:
    """Floating point operations of one step of ``TangentExponential``, without the solutions in function space."""
    flops = system.flops
    return 5 * flops.linearise + flops.kernel + 10 * flops.pull_back + flops.outputs


@dataclass(frozen=True)
class TangentExponential(SingleMethod):
    """The exponential integrator of third order. Its kernels per run are a measure of laziness.

    Where Θ does not fit into the memory limit, steps are those of the other stiff method, ``Chebyshev2``, which needs
    no more than products with J and Jᵀ.

    Attributes:
        tolerance: bound on the error of a step over the change that it makes in the outputs.
    """

    tolerance: float
    memory = Chebyshev2.memory
    thrift = 0.5

    def step(self, system: TangentSystem, state: State) -> Trial:
        return self._step(system, state) if system.kernel_fits else Chebyshev2(self.tolerance).step(system, state)

    def _step(self, system: TangentSystem, state: State) -> Trial:
        """The error is what the middle of the way adds to w and does to F, and what F does beyond its model."""
        w, rows = state.y, torch.arange(len(state), device=state.t.device)
        within = Within.of(system, state)
        outputs0 = within.widened(state.outputs, w)
        start = within.linearise(w)
        theta, n = start.kernel(), state.outputs.shape[1]
        linear = FrozenKernelFlow(theta, outputs0, within.force, within.decay)
        inner = INNER_TOLERANCE * self.tolerance

        gone = state.way[:, 1]
        first = solve(linear, state.dt, FIRST_PASS * inner, gone)
        outputs1 = linear.outputs(first.end(), rows)
        curve, bend = _bent(within, start, linear, first, outputs1)
        flow = linear.bent(bend)
        second = solve(flow, state.dt, inner, gone + norm(outputs1 - outputs0))
        a2, moments = second.end(), (second.moments(bend.direction, 1), second.moments(bend.direction, 2))
        c, c2 = (ends(nodes) for nodes in moments)
        error = curve.beyond(c2 - c)
        y = w + curve.straight(a2, c) + error
        final = within.linearise(y)
        mismatch = final.outputs - flow.outputs(a2, rows)
        outputs = final.outputs[:, :n]
        outputs_error = mismatch[:, :n].abs() + (outputs - system.outputs(y - error, state.member)).abs()
        ratio = relative_error(state, y, error, outputs, outputs_error)
        velocity = within.velocity(final, y)
        finite = first.complete & second.complete & velocity.isfinite().all(1)
        return Trial(
            y,
            velocity,
            outputs,
            torch.where(finite, ratio, torch.inf) / (EXTRAPOLATED * self.tolerance),
            torch.full_like(ratio, 2.0),
            TangentDense(curve, state, second, moments, flow, bend.direction, mismatch),
            gradients=torch.ones_like(state.gradients),
            kernels=torch.ones_like(state.kernels),
            flops=step_flops(system) + first.flops + second.flops,
            calls=CALLS + first.calls + second.calls,
            memory=state.memory,
        )
