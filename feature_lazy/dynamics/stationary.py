"""Points without force: the loss is not at its stop, and nothing moves any more.

Dead units, weights or patterns that are all zero, equal patterns with opposite labels: there the force on the weights
is zero, or all of it is rounding, and no later moment would be another one. At a minimum that an explicit method goes
around within its tolerance, such as that of a mean square that is not 0, the force is neither.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import norm

EVERY = 16
"""Steps between two looks at how much of a force is rounding, which cost a gradient; where it is 0 is seen at once."""
SHARE = 0.5
"""How much of a force must be rounding. Measured: at most 5e-3 in training that goes on, with α at the precision that
is refused; from 0.3 to 1e3 where equal patterns have opposite labels, once all others are fit."""

MOST = 1e4
"""How many rounding errors of y are tried at most, to see one of the outputs."""


def due(state: State) -> Tensor:
    """Which members to look at, by the number of their steps: (M,) bool."""
    return (state.steps % EVERY == 0) & ~state.after_rejection


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
