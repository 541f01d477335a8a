"""What a state of the weights predicts: the network itself, or its linearisation at fixed weights."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.kernels import layer_kernels, relative_change, tangent_kernel
from feature_lazy.kernels.first_order import first_order
from feature_lazy.networks.base import Network


class Model(Protocol):
    """f(w, x) and its tangent kernel, for weights of any members."""

    @property
    def memory_limit(self) -> float:
        """Bytes for one chunk of patterns or block of a kernel."""
        ...

    def f(self, w: Tensor, member: Tensor, x: Tensor, f0: Tensor | None = None) -> Tensor:
        """Outputs on patterns x (P, d) for weights w (M, N) of members (M,): (M, P·C).

        ``f0`` is those of the initial weights, if they are known.
        """
        ...

    def kernel(self, w: Tensor, member: Tensor, x: Tensor, x2: Tensor | None = None) -> Tensor:
        """Θ on patterns x (P, d), or between them and others x2: (M, P, P) (eq. 5)."""
        ...

    def layer_kernels(self, w: Tensor, member: Tensor, x: Tensor) -> dict[str, Tensor]:
        """The part of each weight in it, by name."""
        ...


@dataclass(frozen=True)
class NetworkModel:
    """The network.

    Attributes:
        architecture: f.
        memory_limit: bytes for one chunk of patterns or block of a kernel.
    """

    architecture: Network
    memory_limit: float = float("inf")

    def f(self, w: Tensor, member: Tensor, x: Tensor, f0: Tensor | None = None) -> Tensor:
        return outputs_in_chunks(self.architecture, w, x, self.memory_limit)

    def kernel(self, w: Tensor, member: Tensor, x: Tensor, x2: Tensor | None = None) -> Tensor:
        params = self.architecture.layout.unflatten(w)
        # A member that has diverged is observed as it is, and does not end the others.
        return tangent_kernel(self.architecture, params, x, x2, memory_limit=self.memory_limit, check_finite=False)

    def layer_kernels(self, w: Tensor, member: Tensor, x: Tensor) -> dict[str, Tensor]:
        params = self.architecture.layout.unflatten(w)
        return layer_kernels(self.architecture, params, x, memory_limit=self.memory_limit, check_finite=False)


@dataclass(frozen=True)
class LinearisedModel:
    """f(w₀, x) + J(x)(w − w₀), with the Jacobian J at fixed weights: K_test,train on the test set, without forming it.

    Attributes:
        network: the network that is linearised.
        w0: initial weights of each member, (M, N).
        w_frozen: weights at which J is taken, (M, N).
    """

    network: NetworkModel
    w0: Tensor
    w_frozen: Tensor

    def f(self, w: Tensor, member: Tensor, x: Tensor, f0: Tensor | None = None) -> Tensor:
        """See ``Model.f``; chunk by chunk."""
        net, limit, w0 = self.network.architecture, self.network.memory_limit, self.w0[member]
        params = net.layout.unflatten(self.w_frozen[member])
        per_pattern = COPIES_PER_ACTIVATION * len(w) * net.activations_per_pattern * w.element_size()
        parts = [
            first_order(net, params, x[chunk], limit).push_forward(w - w0)
            for chunk in chunks(len(x), chunk_size(len(x), per_pattern, limit))
        ]
        return (self.network.f(w0, member, x) if f0 is None else f0) + torch.cat(parts, dim=1)

    @property
    def memory_limit(self) -> float:
        return self.network.memory_limit

    def kernel(self, w: Tensor, member: Tensor, x: Tensor, x2: Tensor | None = None) -> Tensor:
        """See ``Model.kernel``; it stays as it is."""
        return self.network.kernel(self.w_frozen[member], member, x, x2)

    def layer_kernels(self, w: Tensor, member: Tensor, x: Tensor) -> dict[str, Tensor]:
        return self.network.layer_kernels(self.w_frozen[member], member, x)


KERNELS_AT_ONCE = 3
"""Θ, Θ₀ and their difference."""


def kernel_change(model: Model, w: Tensor, w0: Tensor, member: Tensor, x: Tensor) -> Tensor:
    """‖Θ − Θ₀‖_F/‖Θ₀‖_F on patterns x (P, d), for weights w and w₀ (M, N) of members (M,): (M,) (Fig. 5a).

    Where the kernels do not fit the memory limit they are made block by block, half of the blocks by symmetry: on the
    article's test set of 50 000 patterns a kernel has 20 GB.
    """
    outputs = model.kernel(w[:1], member[:1], x[:1]).shape[1]
    entry = KERNELS_AT_ONCE * len(w) * outputs**2 * w.element_size()
    if entry * len(x) ** 2 <= model.memory_limit:
        return relative_change(model.kernel(w, member, x), model.kernel(w0, member, x))
    side = chunk_size(len(x), math.sqrt(entry), math.sqrt(model.memory_limit))
    blocks = list(chunks(len(x), side))
    moved, norm = w.new_zeros(2, len(w))
    for number, rows in enumerate(blocks):
        for columns in blocks[number:]:
            theta, theta0 = (model.kernel(v, member, x[rows], x[columns]) for v in (w, w0))
            twice = 1 if columns == rows else 2
            moved = moved + twice * (theta - theta0).square().sum((1, 2))
            norm = norm + twice * theta0.square().sum((1, 2))
    return (moved / norm).sqrt()
