"""Spend work on the patterns that push.

A margin loss stops to push a pattern that is well fit: with the soft hinge by e^{−β(m−1)}. Late in a run a fifth of the
patterns drive the flow, and the gradient of the others is zero to many digits. A step then works on the active
patterns alone, and one forward pass over all of them shows whether any other has begun to push.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Dense, Stepper, Trial
from feature_lazy.dynamics.system import System, TangentSystem
from feature_lazy.networks.outputs import places

NEGLIGIBLE = 1e-8
"""Share of the whole push below which a pattern is left out when a step begins."""
ALLOWED = 0.1
"""Share of the whole push, over the tolerance, that the patterns left out may have when the step ends."""
LEVELS = 8
"""Sizes of the active set are multiples of P/8, so that members with sets of one size go together."""


def n_patterns(system: System, outputs: Tensor) -> int:
    """Parts P that a system with outputs (M, P·C) could be cut into: patterns, with all their outputs."""
    return outputs.shape[1] // (system.n_outputs if isinstance(system, TangentSystem) else 1)


def push_of_patterns(system: TangentSystem, outputs: Tensor, member: Tensor) -> Tensor:
    """How hard each pattern is pushed, Σ_c |b_c| over its outputs: (M, P·C) → (M, P)."""
    return system.push(outputs, member).abs().unflatten(1, (-1, system.n_outputs)).sum(2)


def active(system: System, outputs: Tensor, member: Tensor) -> Tensor:
    """How many patterns of each member push, rounded up: (M, P·C) → (M,) int64; all where a system cannot be cut."""
    n = n_patterns(system, outputs)
    if not isinstance(system, TangentSystem):
        return torch.full((len(outputs),), n, device=outputs.device)
    push = push_of_patterns(system, outputs, member)
    count = (push > NEGLIGIBLE * push.sum(1, keepdim=True)).sum(1)
    step = max(1, n // LEVELS)
    rounded = (count + step - 1) // step * step
    # Beyond three quarters the forward pass over all patterns costs what the cut saves.
    return rounded.clamp(min=1).masked_fill(4 * rounded > 3 * n, n)


def step_on(system: TangentSystem, stepper: Stepper[Any], state: State, count: int, tolerance: float) -> Trial:
    """Try a step of the flow of the ``count`` patterns that push most."""
    push = push_of_patterns(system, state.outputs, state.member)
    patterns = push.topk(count, dim=1).indices.sort(dim=1).values
    rows = torch.arange(len(state), device=state.t.device)
    part = replace(state, member=rows, outputs=state.outputs.gather(1, places(patterns, system.n_outputs)))
    trial = stepper.step(system.restricted(state.member, patterns), part)
    outputs = system.outputs(trial.y, state.member)
    push = push_of_patterns(system, outputs, state.member)
    left_out = 1 - push.gather(1, patterns).sum(1) / push.sum(1)
    neglected = (left_out.double() / (ALLOWED * tolerance)).nan_to_num(nan=torch.inf)
    return replace(
        trial,
        outputs=outputs,
        error=torch.maximum(trial.error, neglected),
        dense=WholeOutputs(system, state.member, trial.dense),
        flops=trial.flops + system.flops.outputs,
        calls=trial.calls + 1,
    )


@dataclass(frozen=True)
class WholeOutputs:
    """Dense output of a step on some patterns, with the outputs of all."""

    system: System
    member: Tensor
    dense: Dense

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        return self.dense.at(rows, theta)

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        return self.system.outputs(self.at(rows, theta), self.member[rows])


@dataclass(frozen=True)
class Focused:
    """A method that works on the active patterns where a flow can be cut to them.

    Attributes:
        stepper: the method.
        tolerance: what its error is held against.
    """

    stepper: Stepper[Any]
    tolerance: float

    @property
    def memory(self) -> int:
        """That of the method."""
        return self.stepper.memory

    def begin(self, system: System, state: State) -> State:
        return self.stepper.begin(system, state)

    def step(self, system: Any, state: State) -> Trial:
        """See ``Stepper.step``; members with active sets of one size go together."""

        def step(part: State, count: int) -> Trial:
            return focused(system, self.stepper, part, count, self.tolerance)

        return in_groups(state, active(system, state.outputs, state.member), step)

    def report(self, state: State) -> dict[str, float | str]:
        return self.stepper.report(state)


def focused(system: Any, stepper: Stepper[Any], state: State, count: int, tolerance: float) -> Trial:
    """A step on the ``count`` patterns that push most, or on all of them."""
    if count == n_patterns(system, state.outputs):
        return stepper.step(system, state)
    return step_on(system, stepper, state, count, tolerance)


def in_groups(state: State, keys: Tensor, step: Callable[[State, int], Trial]) -> Trial:
    """Step the members of each key (M,) together, and join what comes of it in the order of the members."""
    values = keys.unique().tolist()
    if len(values) == 1:
        return step(state, values[0])
    rows = [(keys == value).nonzero()[:, 0] for value in values]
    trials = [step(state.select(mine), value) for mine, value in zip(rows, values, strict=True)]
    order = torch.cat(rows).argsort()
    names = ("y", "velocity", "outputs", "error", "order", "gradients", "kernels", "flops", "calls", "memory")
    joined = {name: torch.cat([getattr(trial, name) for trial in trials])[order] for name in names}
    part, place = torch.empty_like(order), torch.empty_like(order)
    for index, mine in enumerate(rows):
        part[mine], place[mine] = index, torch.arange(len(mine), device=mine.device)
    return Trial(**joined, dense=MergedDense([trial.dense for trial in trials], part, place))


@dataclass(frozen=True)
class MergedDense:
    """Dense output of members that were stepped in groups: row → (group, row in the group)."""

    parts: list[Dense]
    part: Tensor
    place: Tensor

    def _gather(self, name: str, rows: Tensor, theta: Tensor) -> Tensor:
        found: list[tuple[Tensor, Tensor]] = []
        for index, dense in enumerate(self.parts):
            mine = (self.part[rows] == index).nonzero()[:, 0]
            if len(mine):
                found.append((mine, getattr(dense, name)(self.place[rows[mine]], theta[mine])))
        order = torch.cat([mine for mine, _ in found]).argsort()
        return torch.cat([values for _, values in found])[order]

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        return self._gather("at", rows, theta)

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        return self._gather("outputs", rows, theta)
