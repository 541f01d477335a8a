"""Stochastic gradient descent and Adam, as methods of the one integrator.

An update is far too short to look at the whole training set after it: a step is a block of updates. Between the ends of
a block the state is found by doing the updates again, so that observation and events see every single one.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.step import SingleMethod, Trial
from feature_lazy.dynamics.system import Flops


class Optimiser(Protocol):
    """One update of the weights from a minibatch gradient; its memory lies behind the weights in the state."""

    @property
    def slots(self) -> int:
        """Vectors of the size of the weights that it keeps."""
        ...

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, member: Tensor) -> Tensor:
        """The state (E, (1 + slots)·N) after update number k = 1, 2, … (E,), from ∇𝓛 (E, N)."""
        ...


@dataclass(frozen=True)
class Sgd:
    """w ← w − lr·∇𝓛.

    Attributes:
        lr: learning rate of each member, (M,), in the article's t: its authors' value times α/√h.
    """

    lr: Tensor
    slots: int = 0

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, member: Tensor) -> Tensor:
        return torch.addcmul(y, gradient, self.lr[member, None].to(y), value=-1)


@dataclass(frozen=True)
class Adam:
    """Kingma and Ba (2015), algorithm 1: the state is (w, m, v).

    Attributes:
        lr: learning rate, the size of a change of one weight; no units.
        eps: ε of each member, (M,), in units of ∇𝓛: its authors' value times √h/α.
        betas: decay of m and of v.
    """

    lr: float
    eps: Tensor
    betas: tuple[float, float] = (0.9, 0.999)
    slots: int = 2

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, member: Tensor) -> Tensor:
        w, m, v = y.chunk(3, dim=1)
        b1, b2 = self.betas
        m, v = torch.lerp(m, gradient, 1 - b1), torch.lerp(v, gradient.square(), 1 - b2)
        # Bias corrections in float64; at single precision 1 − β₂ᵏ would lose half of its digits.
        one, two = ((1 - b ** k.double()).to(y)[:, None] for b in (b1, b2))
        step = self.lr * (m / one) / ((v / two).sqrt() + self.eps[member, None].to(y))
        return torch.cat([w - step, m, v], dim=1)


@dataclass(frozen=True)
class MinibatchTraining:
    """A network trained by an optimiser: what the integrator sees as a system.

    Attributes:
        flow: the network's gradient flow, for outputs and gradients on batches.
        optimiser: how a gradient becomes an update.
        batch: patterns in a minibatch.
        seed: decides the order of the patterns, for all members, α and widths.
        unit: time that an update takes, (M,) float64: the learning rate of SGD, 1 for Adam.
    """

    flow: NetworkFlow
    optimiser: Optimiser
    batch: int
    seed: int
    unit: Tensor

    @property
    def flops(self) -> Flops:
        """Those of the whole training set."""
        return Flops(evaluate=self.flow.flops.evaluate, outputs=self.flow.flops.outputs)

    def at_rest(self, w0: Tensor) -> Tensor:
        """The state before the first update, (E, (1 + slots)·N)."""
        return torch.cat([w0, w0.new_zeros(len(w0), self.optimiser.slots * w0.shape[1])], dim=1)

    def weights(self, y: Tensor) -> Tensor:
        return y[:, : y.shape[1] // (1 + self.optimiser.slots)]

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (E, P)."""
        return self.flow.outputs(self.weights(y), member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """No velocity, which updates do not have: 0, and F on the training set (E, P)."""
        return torch.zeros_like(y), self.outputs(y, member)

    def updates(self, y: Tensor, member: Tensor, first: Tensor, count: int) -> Tensor:
        """The state after some updates, of which ``first`` (E,) were done before."""
        for index in range(count):
            done = first + index
            # Members of a batch are at the same update, unless a budget has stopped some of them before.
            for value in done.unique().tolist():
                rows = (done == value).nonzero()[:, 0]
                part = self.flow.on_batch(self._patterns(value, y.device))
                velocity, _ = part.evaluate(self.weights(y[rows]), member[rows])
                y = y.index_copy(0, rows, self.optimiser.update(y[rows], -velocity, done[rows] + 1, member[rows]))
        return y

    def _patterns(self, index: int, device: torch.device) -> Tensor:
        """Patterns of a minibatch: the next ones of one random order of the training set after another."""
        found, start, n = [], index * self.batch, self.flow.n_train
        while len(found) < self.batch:
            epoch, offset = divmod(start + len(found), n)
            found += _order(self.seed, epoch, n)[offset : offset + self.batch - len(found)].tolist()
        return torch.tensor(found, device=device)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of the patterns in an epoch."""
    return stream(seed, "minibatches", str(epoch)).permutation(n)


@dataclass(frozen=True)
class Updates(SingleMethod):
    """A step is a block of updates; its length is rounded to a whole number of them."""

    def step(self, system: MinibatchTraining, state: State) -> Trial:
        unit = system.unit[state.member]
        first, counts = (state.t / unit).round().long(), (state.dt / unit).round().long().clamp(min=1)
        replay = Replay(system, state, first, counts)
        y = replay.after(torch.arange(len(state), device=state.t.device), counts)
        outputs = system.outputs(y, state.member)
        finite = y.isfinite().all(1) & outputs.isfinite().all(1)
        share = counts * system.batch / system.flow.n_train
        return Trial(
            y,
            torch.zeros_like(y),
            outputs,
            torch.where(finite, 0.0, torch.inf).to(state.t),
            torch.ones_like(state.t),
            replay,
            gradients=counts,
            kernels=torch.zeros_like(state.kernels),
            flops=share * system.flops.evaluate + system.flops.outputs,
            calls=counts + 1.0,
            memory=state.memory,
        )


@dataclass(frozen=True)
class Replay:
    """The states within a block of updates, by doing them again.

    Attributes:
        system: the training.
        state: the start of the block.
        first: updates done before it, (E,).
        counts: updates in it, (E,).
    """

    system: MinibatchTraining
    state: State
    first: Tensor
    counts: Tensor

    def after(self, rows: Tensor, counts: Tensor) -> Tensor:
        """States of the rows (k,) after so many updates of the block, (k,)."""
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
