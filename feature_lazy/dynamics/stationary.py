"""Points without force: the loss is not at its stop, and nothing moves any more.

Dead units, weights or patterns that are all zero, equal patterns with opposite labels: there the force on the weights
is zero, or all of it is rounding, and no later moment would be another one. Around a minimum that is not at the stop,
such as that of a mean square that is not 0, an explicit method goes in steps of its tolerance for ever: there the force
is neither, and Newton's method finds the minimum beside.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import norm

EVERY = 16
"""Steps between two looks at how much of a force is rounding, which cost a gradient; where it is 0 is seen at once."""
OCTAVE = 4
"""Looks in each doubling of the steps, later on."""
SHARE = 0.5
"""How much of a force must be rounding. Measured: at most 5e-3 in training that goes on, with α at the precision that
is refused; from 0.3 to 1e3 where equal patterns have opposite labels, once all others are fit."""

MOST = 1e4
"""How many rounding errors of y are tried at most, to see one of the outputs."""


FIRST = 512
"""Steps after which a minimum is looked for, once in each doubling: no run that goes on pays for more than that."""
STILL = 1e-3
"""Of the way gone: what a step of half of all time leads to at most, where a minimum is looked for at once. Training
that goes on in such steps is above 3e-3 before its last one; at rest each step costs four times the one before, for
nothing."""
LEFT = 1e-6
"""Of the way gone, in y and in outputs: how near the minimum is there, since such a method does arrive."""
WITHIN = 0.01
"""Of the way gone, in y and in outputs: how near a minimum is that a method goes around. Errors of steps are 2 % of the
tolerance there, and few tolerances are above 0.1."""
GONE = 1e-6
"""Of the force: what is left of it at a minimum."""
NEWTON, KRYLOV = 12, 64
"""Newton's steps, and products with the Hessian in each, before a minimum is given up."""
RESIDUAL = 1e-2
"""Of the force: what a step of Newton's leaves of it by its linear equation."""


def due(state: State) -> Tensor:
    """Which members to look at, by the number of their steps: (M,) bool."""
    every = (_octave(state.steps) // OCTAVE).clamp(min=EVERY)
    return (state.steps % every == 0) & ~state.after_rejection


def _octave(steps: Tensor) -> Tensor:
    """The power of 2 below, (M,) int64."""
    return torch.exp2(torch.log2(steps.clamp(min=1).double()).floor()).long()


def around_minimum(
    evaluate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    state: State,
    over: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Which members go around a minimum that is within ``WITHIN`` of their way, or have arrived at one: (M,) bool.

    It is found from where they are by Newton's method with conjugate gradients (Nocedal and Wright, Numerical
    Optimization, 7.1), each member alone, which meets a direction of negative curvature where there is no minimum.
    Training that is over at the minimum goes on, to its own end.

    Args:
        evaluate: −∇ of an objective (M, D) and outputs (M, P) at y (M, D) of the members that it is given, (M,).
        state: of all members, with the velocity −∇.
        over: whether training is over at outputs (M, P) of members (M,): (M,) bool.
    """
    found = torch.zeros_like(state.after_rejection)
    around = (state.steps >= FIRST) & (state.steps == _octave(state.steps))
    arrived = (state.last_dt >= state.t / 2) & (norm(state.velocity) * state.last_dt < STILL * state.way[:, 0])
    for row in ((around | arrived) & ~state.after_rejection).nonzero()[:, 0]:
        one = state.select(row[None])
        within = WITHIN if around[row] else LEFT
        least = _minimum(lambda y, member=one.member: evaluate(y, member), one, within)
        found[row] = least is not None and not bool(over(least, one.member))
    return found


def _minimum(evaluate: Callable[[Tensor], tuple[Tensor, Tensor]], one: State, within: float) -> Tensor | None:
    """Outputs (1, P) at the minimum that is within a share of a member's way; None: there is none."""
    reach_y, reach_outputs = (within * one.way[0]).tolist()
    y, force, outputs = one.y, one.velocity, one.outputs
    whole = size = float(norm(force))
    for _ in range(NEWTON):
        step = _newton(evaluate, y, force, reach_y)
        if step is None or float(norm(y + step - one.y)) > reach_y:
            return None
        y = y + step
        force, outputs = evaluate(y)
        if float(norm(outputs - one.outputs)) > reach_outputs:
            return None
        last, size = size, float(norm(force))
        if not size > 0 or size > last / 2:  # all of it is rounding: what a slow direction has would have been seen
            break
    return outputs if size <= GONE * whole else None


def _newton(
    evaluate: Callable[[Tensor], tuple[Tensor, Tensor]], y: Tensor, force: Tensor, reach: float
) -> Tensor | None:
    """Where the force would be gone if it were linear, from y (1, D); None: nowhere, or farther than ``reach``."""
    small = torch.finfo(y.dtype).eps ** 0.5 * (1 + float(norm(y)))
    step, residual, direction = torch.zeros_like(y), force, force
    for _ in range(KRYLOV):
        by = small / float(norm(direction))
        curved = (force - evaluate(y + by * direction)[0]) / by
        square, curvature = float((residual * residual).sum()), float((direction * curved).sum())
        if not curvature > 0:
            return None
        step = step + square / curvature * direction
        if float(norm(step)) > reach:
            return None
        last, residual = residual, residual - square / curvature * curved
        if float(norm(residual)) <= RESIDUAL * float(norm(force)):
            return step
        direction = residual + float((residual * (residual - last)).sum()) / square * direction
    return None


def without_force(
    evaluate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], state: State, now: Tensor | None = None
) -> Tensor:
    """Which members are where the force is zero or rounding: a rounding error of either sign changes it by ``SHARE``.

    The error is one of y or, where that changes the outputs by less than their own rounding beside labels of order 1,
    as much more as does. Of either sign, because a loss with a kink may have its jump on one side.

    Args:
        evaluate: force (M, D') and outputs (M, P) at y (M, D) of the members that it is given, (M,).
        state: of all members.
        now: the force there, (M, D'); the velocity if omitted.
    """
    force = state.velocity if now is None else now
    still = ~force.any(1)
    rows = (~still & due(state)).nonzero()[:, 0]
    for sign in (1, -1):
        if len(rows):
            y, outputs, member = state.y[rows], state.outputs[rows], state.member[rows]
            eps = torch.finfo(y.dtype).eps
            last = torch.full_like(y, sign * eps)
            last[:, ::2] *= -1
            moved, seen = evaluate(y * (1 + last), member)
            own = eps * (norm(outputs) + outputs.shape[1] ** 0.5)
            more = (own / norm(seen - outputs)).clamp(1, MOST)
            if bool((more > 1).any()):
                moved, _ = evaluate(y * (1 + last * more[:, None].to(y)), member)
            rows = rows[norm(moved - force[rows]) >= SHARE * norm(force[rows])]
    return still.index_fill(0, rows, value=True)
