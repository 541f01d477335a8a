"""Classes of ``torch.optim`` as updates of a state: all that they remember lies in slots behind the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from feature_lazy.core.drawn import disturbed
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import explained
from feature_lazy.dynamics.flow import NetworkFlow
from feature_lazy.networks.layout import Layout

Make = Callable[..., torch.optim.Optimizer]
"""(weights, lr=…) → an optimiser of PyTorch."""
Kept = tuple[str, tuple[int, ...], torch.dtype | type]
"""What is remembered of a weight: its name, shape and dtype, or the type of a number of Python."""
TRIED = 0.1
"""Gradient of the updates that show what an optimiser remembers."""


@dataclass
class TorchOptimiser:
    """An optimiser of PyTorch, applied to one member at a time.

    Attributes:
        make: the optimiser of some weights.
        lr: learning rate.
        layout: of the network; what is fixed it never sees.
        kept: what it remembers of each trained weight after an update.
    """

    make: Make
    lr: float
    layout: Layout
    kept: Sequence[Sequence[Kept]]

    @classmethod
    def ready(cls, where: str, make: Make, lr: float, layout: Layout, w0: Tensor) -> TorchOptimiser:
        """Make it ready for a network with initial weights w0 (M, N), by two updates that are thrown away.

        Raises:
            ConfigError: it fails, asks for more than gradients, draws random numbers, or remembers something that no
                checkpoint holds.
        """
        made = cls(make, lr, layout, ())
        with explained(f"{where}: it fails on weights such as these", "It must take gradients alone, as most do."):
            first = made._tried(where, w0[:1], 1)
            made.kept = first
            again = made._tried(where, w0[:1], 2)
        if first != again:
            raise ConfigError(f"{where}: what it remembers changes its shape from update to update.")
        state = torch.cat([w0[:1], w0.new_zeros(1, made.slots * w0.shape[1])], dim=1)
        gradient = torch.full_like(w0[0], TRIED)
        moved = made._moved(state[0], gradient, 1)
        with disturbed():
            other = made._moved(state[0], gradient, 1)
        if not torch.equal(moved, other):
            raise ConfigError(f"{where}: it draws random numbers: the same gradient gives another update.")
        return made

    @property
    def slots(self) -> int:
        """Vectors of the size of the weights that hold what is remembered."""
        numbers = sum(math.prod(shape) for one in self.kept for _, shape, _ in one)
        return -(-numbers // self.layout.size)

    def unit(self, scale: Tensor) -> Tensor:
        """See ``Optimiser.unit``: t counts updates."""
        return torch.ones_like(scale)

    def rate(self, scale: Tensor) -> Tensor:
        """See ``Optimiser.rate``."""
        return torch.full_like(scale, self.lr)

    def with_rate(self, lr: float) -> TorchOptimiser:
        """The same with another learning rate."""
        made = copy.copy(self)
        made.lr = lr
        return made

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        """See ``Optimiser.update``; the gradient is times ``scale``, as it is in the authors' units."""
        gradient = gradient * scale[:, None].to(gradient)
        rows = zip(y, gradient, k.tolist(), strict=True)
        return torch.stack([self._moved(state, slope, number) for state, slope, number in rows])

    def _moved(self, state: Tensor, gradient: Tensor, k: int) -> Tensor:
        """The state of one member, ((1 + slots)·N,), after its update k."""
        size = self.layout.size
        w, memory = state[:size], state[size:]
        places = self._places()
        leaves = self._leaves(w, gradient)
        optimiser = self.make(leaves, lr=self.lr)
        if k > 1:
            self._remind(optimiser, leaves, memory)
        with torch.enable_grad():
            optimiser.step()
        moved = state.clone()
        for (start, end), leaf in zip(places, leaves, strict=True):
            moved[start:end] = leaf.detach().flatten()
        numbers = [
            torch.as_tensor(optimiser.state[leaf][name]).detach().flatten().to(state)
            for leaf, one in zip(leaves, self.kept, strict=True)
            for name, _, _ in one
        ]
        if numbers:
            found = torch.cat(numbers)
            moved[size : size + len(found)] = found
        return moved

    def _places(self) -> list[tuple[int, int]]:
        """Where each trained weight lies in the flat vector."""
        ends = torch.tensor(self.layout.sizes).cumsum(0).tolist()
        spans = zip(self.layout.shapes, ends, self.layout.sizes, strict=True)
        return [(end - size, end) for name, end, size in spans if name not in self.layout.fixed]

    def _leaves(self, w: Tensor, gradient: Tensor) -> list[torch.nn.Parameter]:
        found = []
        for name, (start, end) in zip(self.layout.trained, self._places(), strict=True):
            shape = self.layout.shapes[name]
            leaf = torch.nn.Parameter(w[start:end].clone().view(shape))
            leaf.grad = gradient[start:end].clone().view(shape)
            found.append(leaf)
        return found

    def _remind(self, optimiser: torch.optim.Optimizer, leaves: Sequence[Tensor], memory: Tensor) -> None:
        """Give an optimiser back what it remembered."""
        start = 0
        for leaf, one in zip(leaves, self.kept, strict=True):
            for name, shape, dtype in one:
                end = start + math.prod(shape)
                values = memory[start:end].view(shape)
                start = end
                known = isinstance(dtype, torch.dtype)
                optimiser.state[leaf][name] = values.to(dtype).clone() if known else dtype(values.item())

    def _tried(self, where: str, w0: Tensor, updates: int) -> list[list[Kept]]:
        """What is remembered of each weight after some updates by equal gradients.

        Raises:
            ConfigError: no numbers, or numbers that belong to no weight.
        """
        leaves = self._leaves(w0[0], torch.full_like(w0[0], TRIED))
        optimiser = self.make(leaves, lr=self.lr)
        before = _of_groups(optimiser)
        for _ in range(updates):
            optimiser.step()
        if _of_groups(optimiser) != before:
            raise ConfigError(f"{where}: it keeps numbers in its param_groups, of which no checkpoint knows.")
        return [[_kept(where, name, value) for name, value in _numbers(optimiser.state[leaf])] for leaf in leaves]


def _numbers(state: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in state.items() if value is not None]


def _kept(where: str, name: str, value: Any) -> Kept:
    if isinstance(value, Tensor) and not value.is_complex():
        return name, tuple(value.shape), value.dtype
    if isinstance(value, bool | int | float):
        return name, (), type(value)
    raise ConfigError(f"{where}: it remembers {name!r}, {type(value).__name__}, which no checkpoint holds.")


def _of_groups(optimiser: torch.optim.Optimizer) -> str:
    return repr([{k: v for k, v in group.items() if k != "params"} for group in optimiser.param_groups])
