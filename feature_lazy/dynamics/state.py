"""Everything that evolves during an integration, one row per member."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class State:
    """The state of M members; every field has a leading member axis and is enough to resume bit for bit.

    Attributes:
        member: index of each row in the batch, (M,) int64.
        t: time of each member, (M,) float64; members do not share a clock.
        dt: next step to try, (M,) float64.
        y: the integrated vector, (M, D).
        velocity: dy/dt at y, (M, D).
        outputs: what the stop rule looks at, for a network F on the training set, (M, P).
        event_times: time of each event, NaN until it happens, (M, events) float64.
        steps: accepted steps, (M,) int64.
        rejected: rejected steps, (M,) int64.
        gradients: evaluations of the velocity and other passes of the same cost, (M,) int64.
        kernels: tangent kernels computed, (M,) int64.
        flops: floating point operations of all work of the stepper, rejected steps included, (M,) float64.
        after_rejection: whether the last step was rejected, (M,) bool.
        last_dt: last accepted step, (M,) float64; NaN before the first.
        last_error: its error over the bound, (M,) float64; NaN before the first.
        way: length of the path gone so far, of y and of the outputs, (M, 2) float64.
        memory: what the stepper keeps from step to step, (M, stepper.memory) float64.
    """

    member: Tensor
    t: Tensor
    dt: Tensor
    y: Tensor
    velocity: Tensor
    outputs: Tensor
    event_times: Tensor
    steps: Tensor
    rejected: Tensor
    gradients: Tensor
    kernels: Tensor
    flops: Tensor
    after_rejection: Tensor
    last_dt: Tensor
    last_error: Tensor
    way: Tensor
    memory: Tensor

    def __len__(self) -> int:
        """Number of members M."""
        return len(self.member)

    def tensors(self) -> dict[str, Tensor]:
        """Every field by name: what a checkpoint holds."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def select(self, rows: Tensor) -> "State":
        """The rows of a boolean mask or of indices."""
        return State(**{name: value[rows] for name, value in self.tensors().items()})

    @staticmethod
    def concatenate(states: Sequence["State"]) -> "State":
        """The members of several states in one."""
        return State(
            **{name: torch.cat([s.tensors()[name] for s in states]) for name in (f.name for f in fields(State))}
        )
