"""What a step is: the two interfaces between which every method is a choice."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from feature_lazy.dynamics.flow import System
from feature_lazy.dynamics.state import State


@dataclass(frozen=True)
class Trial:
    """One step tried for every member, to be accepted or rejected.

    Attributes:
        y: state after the step, (E, D).
        velocity: dy/dt there, (E, D).
        outputs: outputs there, (E, P).
        error: what bounds the step, over its bound, (E,) float64; infinite where anything is not finite.
        gradients: velocities evaluated per member.
    """

    y: Tensor
    velocity: Tensor
    outputs: Tensor
    error: Tensor
    gradients: int


class Stepper(Protocol):
    """Tries a step; it never decides whether the step counts."""

    def step(self, system: System, state: State) -> Trial:
        """Try one step of size ``state.dt`` for every member."""
        ...


class Controller(Protocol):
    """Decides from an error; it never sees a network."""

    def decide(self, error: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """Errors (E,) and steps (E,) → which steps are accepted (E,) bool, and the next steps (E,)."""
        ...
