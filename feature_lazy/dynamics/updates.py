"""Training by updates, as a method of the one integrator: a step is a block of updates.

An update is far too short to look at the whole training set after it. Between the ends of a block the state is found by
doing the updates again, so that observation and events see every single one.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial
from feature_lazy.dynamics.system import Flops


@dataclass(frozen=True)
class Work:
    """What one update of one member costs.

    Attributes:
        gradients: gradients, of a minibatch or of the whole training set.
        kernels: tangent kernels.
        flops: floating point operations.
    """

    gradients: int = 0
    kernels: int = 0
    flops: float = 0.0


class UpdateSystem(Protocol):
    """A network that is trained by updates, each of the time ``unit``."""

    @property
    def unit(self) -> Tensor:
        """Time that an update takes, of each member of the batch, (M,) float64."""
        ...

    @property
    def work(self) -> Work:
        """What an update costs."""
        ...

    @property
    def flops(self) -> Flops:
        """See ``System.flops``."""
        ...

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (M, P·C) at the states y (M, D) of members (M,)."""
        ...

    def updates(self, y: Tensor, member: Tensor, first: Tensor, count: int) -> Tensor:
        """The states y (M, D) after some more updates; ``first`` (M,) of them were done before."""
        ...


@dataclass(frozen=True)
class Updates(SingleMethod):
    """A step is a block of updates; its length is rounded to a whole number of them."""

    def step(self, system: UpdateSystem, state: State) -> Trial:
        unit = system.unit[state.member]
        first, counts = (state.t / unit).round().long(), (state.dt / unit).round().long().clamp(min=1)
        replay = Replay(system, state, first, counts)
        y = replay.after(torch.arange(len(state), device=state.t.device), counts)
        outputs = system.outputs(y, state.member)
        finite = y.isfinite().all(1) & outputs.isfinite().all(1)
        return Trial(
            y,
            torch.zeros_like(y),
            outputs,
            torch.where(finite, 0.0, torch.inf).to(state.t),
            torch.ones_like(state.t),
            replay,
            gradients=counts * system.work.gradients,
            kernels=counts * system.work.kernels,
            flops=counts * system.work.flops + system.flops.outputs,
            calls=counts + 1.0,
            memory=state.memory,
        )


@dataclass(frozen=True)
class Replay:
    """The states within a block of updates, by doing them again.

    Attributes:
        system: the training.
        state: the start of the block.
        first: updates done before it, (M,).
        counts: updates in it, (M,).
    """

    system: UpdateSystem
    state: State
    first: Tensor
    counts: Tensor

    def after(self, rows: Tensor, counts: Tensor) -> Tensor:
        """States of the rows (M,) after so many updates of the block, (M,)."""
        y, done = self.state.y[rows], torch.zeros_like(counts)
        for count in counts.unique().tolist():
            go = counts >= count
            part = (go.nonzero()[:, 0], int(count - done[go][0]))
            mine = rows[part[0]]
            moved = self.system.updates(y[part[0]], self.state.member[mine], self.first[mine] + done[part[0]], part[1])
            y, done = y.index_copy(0, part[0], moved), torch.where(go, torch.full_like(done, count), done)
        return y

    def at(self, rows: Tensor, theta: Tensor) -> Tensor:
        """See ``Dense.at``: the state after the last update up to then."""
        return self.after(rows, (theta * self.counts[rows] + 1e-6).floor().long())

    def outputs(self, rows: Tensor, theta: Tensor) -> Tensor:
        return self.system.outputs(self.at(rows, theta), self.state.member[rows])


class AcceptFinite:
    """Blocks keep their length; one that is not finite is rejected, and with it the run, because no other would do."""

    def decide(self, trial: Trial, state: State) -> tuple[Tensor, Tensor]:
        finite = trial.error.isfinite()
        return finite, torch.where(finite, state.dt, 0.0)
