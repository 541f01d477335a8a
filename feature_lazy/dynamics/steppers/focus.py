"""Spend work on the patterns that push.

A margin loss stops to push a pattern that is well fit: with the soft hinge by e^{−β(m−1)}. Late in a run a fifth of the
patterns drive the flow, and the others have a ten-thousandth of the gradient. A step then works on the active patterns
alone, and one forward pass over all of them shows how much the others have begun to push. What they may push is a share
of the tolerance when the step ends, and when it begins so much less as the last steps say that it grows within one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import Dense, SingleMethod, Trial
from feature_lazy.dynamics.system import System, TangentSystem, has_tangent
from feature_lazy.networks.outputs import places

ALLOWED = 0.1
"""Share of the whole push, over the tolerance, that the patterns left out may have when a step ends."""
AIM = 0.3
"""What is aimed at, over that."""
FIRST, MOST = 1e-2, 0.1
"""The same when a step begins, over what is allowed at its end: of the first step, and at most."""
FALL, RISE = 1e-4, 10.0
"""Least and largest factor from a step to the next."""
LEVELS = 32
"""Sizes of the active set are multiples of P/32, so that members with sets of one size go together."""
CHEAPEST = 0.25
"""Share of the patterns below which less error is not asked for: see ``SingleMethod.thrift``."""
WHOLE = 0.9
"""Share of the patterns beyond which all are active: the forward pass over all of them costs what the cut saves."""


def n_patterns(system: System, outputs: Tensor) -> int:
    """Parts P that a system with outputs (M, P·C) could be cut into: patterns, with all their outputs."""
    return outputs.shape[1] // (system.n_outputs if has_tangent(system) else 1)


def push_of_patterns(system: TangentSystem, outputs: Tensor, member: Tensor) -> Tensor:
    """How hard each pattern is pushed, Σ_c |b_c| over its outputs: (M, P·C) → (M, P)."""
    return system.force(member).push(outputs).abs().unflatten(1, (-1, system.n_outputs)).sum(2)


def first_share(tolerance: float) -> float:
    """Share of the whole push that may be left out when the first step begins."""
    return FIRST * ALLOWED * tolerance


def active(system: System, outputs: Tensor, member: Tensor, share: Tensor) -> Tensor:
    """How many patterns of each member push, without those that have a share (M,) of the push together.

    Rounded up: (M, P·C) → (M,) int64; all where a system cannot be cut.
    """
    n = n_patterns(system, outputs)
    if not has_tangent(system):
        return torch.full((len(outputs),), n, device=outputs.device)
    push = push_of_patterns(system, outputs, member)
    weakest = push.sort(dim=1).values.cumsum(1)
    count = n - (weakest < share.to(push)[:, None] * push.sum(1, keepdim=True)).sum(1)
    step = max(1, n // LEVELS)
    rounded = (count + step - 1) // step * step
    return rounded.clamp(min=1).masked_fill(rounded > WHOLE * n, n)


def step_on(
    system: TangentSystem, stepper: SingleMethod, state: State, count: int, share: Tensor, tolerance: float
) -> tuple[Trial, Tensor]:
    """Try a step of the flow of the ``count`` patterns that push most, and say what share may be left out next."""
    push = push_of_patterns(system, state.outputs, state.member)
    patterns = push.topk(count, dim=1).indices.sort(dim=1).values
    rows = torch.arange(len(state), device=state.t.device)
    part = replace(state, member=rows, outputs=state.outputs.gather(1, places(patterns, system.n_outputs)))
    trial = stepper.step(system.restricted(state.member, patterns), part)
    outputs = system.outputs(trial.y, state.member)
    push = push_of_patterns(system, outputs, state.member)
    left_out = (push.scatter(1, patterns, 0.0).sum(1) / push.sum(1)).double()
    error = trial.error / max(count / n_patterns(system, state.outputs), CHEAPEST) ** stepper.thrift
    allowed = ALLOWED * tolerance
    grown = (AIM * allowed / left_out).nan_to_num(nan=FALL).clamp(FALL, RISE)
    # If too much was left out, or what is no number, the same step again with more patterns: it was not too long.
    trial = replace(
        trial,
        outputs=outputs,
        error=torch.where(left_out <= allowed, error, error.clamp(min=1)),
        dense=WholeOutputs(system, state.member, trial.dense),
        flops=trial.flops + system.flops.outputs,
        calls=trial.calls + 1,
    )
    return trial, (share * grown).clamp(max=MOST * allowed)


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

    stepper: SingleMethod
    tolerance: float

    @property
    def memory(self) -> int:
        """That of the method, and the share of the push that may be left out."""
        return 1 + self.stepper.memory

    def begin(self, system: System, state: State) -> State:
        return state

    def step(self, system: Any, state: State) -> Trial:
        """See ``Stepper.step``; members with active sets of one size go together."""
        share = state.memory[:, 0]
        share = torch.where(share > 0, share, first_share(self.tolerance))

        def step(part: State, count: int) -> Trial:
            own, left = replace(part, memory=part.memory[:, 1:]), part.memory[:, 0]
            trial, left = focused(system, self.stepper, own, count, left, self.tolerance)
            return replace(trial, memory=torch.cat([left[:, None], trial.memory], dim=1))

        state = replace(state, memory=torch.cat([share[:, None], state.memory[:, 1:]], dim=1))
        return in_groups(state, active(system, state.outputs, state.member, share), step)

    def report(self, state: State) -> dict[str, float | str]:
        return self.stepper.report(state)


def focused(
    system: Any, stepper: SingleMethod, state: State, count: int, share: Tensor, tolerance: float
) -> tuple[Trial, Tensor]:
    """A step on the ``count`` patterns that push most, or on all of them, and the share that may be left out next."""
    if count == n_patterns(system, state.outputs):
        return stepper.step(system, state), share
    return step_on(system, stepper, state, count, share, tolerance)


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
