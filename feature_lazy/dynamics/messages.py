"""What the integrator tells whoever listens, as it goes."""

from dataclasses import dataclass

from torch import Tensor

from feature_lazy.dynamics.outcome import Outcome
from feature_lazy.dynamics.state import State


@dataclass(frozen=True)
class Samples:
    """States at observation times: row k is member ``member[k]`` at time ``t[k]``; for one member, in order of time."""

    member: Tensor
    t: Tensor
    y: Tensor


@dataclass(frozen=True)
class Advanced:
    """All members that still train, between two steps: integration goes on from ``state`` as if nothing had been."""

    state: State


@dataclass(frozen=True)
class Finished:
    """Members that left the batch, in their final state (at the event itself, if one ended them)."""

    state: State
    outcomes: list[Outcome]
