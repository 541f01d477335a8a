"""Training by an optimiser on minibatches: what the integrator sees as a system."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.dynamics.choices import Training
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.dynamics.integrate import Method
from feature_lazy.dynamics.model import NetworkModel
from feature_lazy.dynamics.regularisers import pulls_to_zero
from feature_lazy.dynamics.state import State
from feature_lazy.dynamics.stationary import due
from feature_lazy.dynamics.system import Flops
from feature_lazy.dynamics.updates import AcceptFinite, Updates, Work
from feature_lazy.settings.checks import check_option

if TYPE_CHECKING:
    from feature_lazy.dynamics.optimisers import Optimiser


@dataclass(frozen=True)
class MinibatchTraining:
    """A network trained by an optimiser: what the integrator sees as a system.

    Attributes:
        flow: the network's gradient flow, for outputs and gradients on batches.
        optimiser: how a gradient becomes an update.
        batch: patterns in a minibatch.
        seed: decides the order of the patterns, for all members, α and widths.
        unit: time that an update takes, (M,) float64: the learning rate of SGD, 1 for Adam.
        scale: α/√h of each member where the optimiser's units are the authors', else 1, (M,) float64.
    """

    flow: NetworkFlow
    optimiser: Optimiser
    batch: int
    seed: int
    unit: Tensor
    scale: Tensor

    @property
    def flops(self) -> Flops:
        """Those of the whole training set."""
        return Flops(evaluate=self.flow.flops.evaluate, outputs=self.flow.flops.outputs)

    @property
    def work(self) -> Work:
        """A gradient of a minibatch."""
        return Work(gradients=1, flops=self.batch / self.flow.n_train * self.flow.flops.evaluate)

    def at_rest(self, w0: Tensor) -> Tensor:
        """The state before the first update, (M, (1 + slots)·N)."""
        return torch.cat([w0, w0.new_zeros(len(w0), self.optimiser.slots * w0.shape[1])], dim=1)

    def weights(self, y: Tensor) -> Tensor:
        return y[:, : y.shape[1] // (1 + self.optimiser.slots)]

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (M, P)."""
        return self.flow.outputs(self.weights(y), member)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """No velocity, which updates do not have: 0, and F on the training set (M, P)."""
        return torch.zeros_like(y), self.outputs(y, member)

    def stationary(self, state: State) -> Tensor:
        """See ``Settling.stationary``: no pattern has a gradient, and without one an update changes nothing."""
        looked = due(state)
        if not bool(looked.any()):
            return looked
        w = self.weights(state.y)
        scale, first = self.scale[state.member], torch.ones_like(state.steps)
        kept = self.optimiser.update(state.y, torch.zeros_like(w), first, scale, self.flow.of(state.member))
        still = looked & (kept == state.y).all(1)
        rows = still.nonzero()[:, 0]
        # Gradients of patterns may cancel in all, and in some minibatches.
        alone = (self.flow.on_batch(torch.tensor([i], device=w.device)) for i in range(self.flow.n_train))
        for flow in itertools.chain([self.flow], alone):
            if not len(rows):
                break
            velocity, _ = flow.evaluate(w[rows], state.member[rows])
            rows = rows[~velocity.any(1)]
        return torch.zeros_like(still).index_fill(0, rows, value=True)

    def updates(self, y: Tensor, member: Tensor, first: Tensor, count: int) -> Tensor:
        """The state after some updates; ``first`` (M,) of these were done before."""
        for index in range(count):
            done = first + index
            # Members of a batch are at the same update, unless a budget has stopped some of them before.
            for value in done.unique().tolist():
                rows = (done == value).nonzero()[:, 0]
                part = self.flow.on_batch(self._patterns(value, y.device)).of(member[rows])
                gradient = part.gradient(self.weights(y[rows]))
                scale, optimiser = self.scale[member[rows]], self.optimiser.at(value + 1)
                moved = optimiser.update(y[rows], gradient, done[rows] + 1, scale, part)
                if optimiser.weight_decay:
                    moved = moved - self._decayed(y[rows], optimiser.rate(scale))
                y = y.index_copy(0, rows, moved)
        return y

    def _decayed(self, y: Tensor, rate: Tensor) -> Tensor:
        """What decoupled weight decay takes off a state y (M, D) in an update (Loshchilov and Hutter 2019): (M, D)."""
        layout = self.flow.architecture.layout
        share = (self.optimiser.weight_decay * rate)[:, None].to(y)
        lost = torch.zeros_like(y)
        self.weights(lost)[:] = layout.scattered(layout.gathered(share * self.weights(y)))
        return lost

    def _patterns(self, index: int, device: torch.device) -> Tensor:
        """Patterns of a minibatch: the next ones of one random order of the training set after another.

        With replacement, of as many draws.
        """
        found, start, n = [], index * self.batch, self.flow.n_train
        while len(found) < self.batch:
            epoch, offset = divmod(start + len(found), n)
            found += _order(self.seed, epoch, n, self.optimiser.replacement)[
                offset : offset + self.batch - len(found)
            ].tolist()
        return torch.tensor(found, device=device)


def prepare(optimiser: Optimiser, flow: NetworkFlow, w0: Tensor) -> Training:
    """Make an optimiser ready for members with the initial weights w0 (M, N).

    Raises:
        ConfigError: a value that the optimiser's keys do not allow, or weight decay that does not fit.
    """
    check_option(optimiser, "dynamics")
    decay = f"dynamics.weight_decay={optimiser.weight_decay:g}"
    if optimiser.weight_decay and flow.centred:
        raise ConfigError(pulls_to_zero(decay))
    unit = torch.ones_like(flow.alpha, dtype=torch.float64)
    scale = unit * flow.alpha.double() / math.sqrt(flow.architecture.last_fan_in)
    scale = scale if optimiser.units == "authors" else unit
    if float((optimiser.weight_decay * optimiser.rate(scale)).max()) >= 1:
        raise ConfigError(f"{decay}: an update would take all of a weight off; lr × weight_decay must be below 1.")
    batch = min(optimiser.batch, flow.n_train)
    unit = optimiser.unit(scale)
    system = MinibatchTraining(flow, optimiser, batch, optimiser.batch_seed, unit, scale)
    block = min(optimiser.check_every or max(1, flow.n_train // batch), optimiser.updates)
    model = NetworkModel(flow.architecture, flow.memory_limit)
    method = Method(Updates(), AcceptFinite())
    return Training(system, method, system.at_rest(w0), block * unit, model, optimiser.updates * unit)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int, replacement: bool) -> np.ndarray:
    """The order of the patterns in an epoch, or n draws of them."""
    random = stream(seed, "minibatches", str(epoch))
    return random.integers(n, size=n) if replacement else random.permutation(n)
