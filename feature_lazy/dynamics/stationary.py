"""Points without force: the loss is not at its stop, and nothing moves any more.

Dead units, weights or patterns that are all zero, equal patterns with opposite labels, a network that cannot fit its
data: there the force on the weights is zero, or all of it is rounding. No later moment would be another one.
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


def due(state: State) -> Tensor:
    """Which members to look at, by the number of their steps: (E,) bool."""
    return (state.steps % EVERY == 0) & ~state.after_rejection


def without_force(force: Callable[[Tensor, Tensor], Tensor], state: State, y: Tensor, now: Tensor) -> Tensor:
    """Whether a force is zero or rounding: a rounding error of y, of either sign, changes it by ``SHARE`` or more.

    Of either sign, because a loss with a kink may have its jump on one side.

    Args:
        force: at y (k, D) of some members (k,): (k, D').
        state: of all E members.
        y: where they are, (E, D).
        now: the force there, (E, D').
    """
    still = ~now.any(1)
    rows = (~still & due(state)).nonzero()[:, 0]
    for sign in (1, -1):
        if len(rows):
            last = torch.full_like(y[0], sign * torch.finfo(y.dtype).eps)
            last[::2] *= -1
            change = norm(force(y[rows] * (1 + last), state.member[rows]) - now[rows])
            rows = rows[change >= SHARE * norm(now[rows])]
    return still.index_fill(0, rows, value=True)
