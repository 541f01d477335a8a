"""A network to first order, f + J(w − w₀), on fixed patterns: from its layers where it shows them, else by passes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.layerwise import Linearisation, factor_bytes, shows_layers
from feature_lazy.networks.base import Layered, Network
from feature_lazy.networks.layout import Params
from feature_lazy.networks.outputs import places, span


class FirstOrder(Protocol):
    """The network to first order around some weights of M members, on P patterns."""

    @property
    def outputs(self) -> Tensor:
        """f(w, x), (M, P·C), the C outputs of a pattern side by side."""
        ...

    def select(self, members: Tensor) -> "FirstOrder":
        """The same for some members, (M,)."""
        ...

    def on(self, patterns: Tensor) -> "FirstOrder":
        """The same on some patterns of each member, (M, k)."""
        ...

    def push_forward(self, v: Tensor) -> Tensor:
        """Jv for v (M, N), flat in the order of the layout: (M, P·C)."""
        ...

    def pull_back(self, a: Tensor) -> Tensor:
        """Jᵀa for a (M, P·C), flat in the order of the layout: (M, N)."""
        ...

    def kernel(self, memory_limit: float) -> Tensor:
        """Θ = JJᵀ (eq. 5), (M, P·C, P·C), with ``memory_limit`` bytes for the work beside it."""
        ...


def first_order(architecture: Network, params: Params, x: Tensor, memory_limit: float) -> FirstOrder:
    """Any network to first order around weights of M members, on patterns x (P, d) or (M, P, d).

    A network that shows its layers keeps their factors, so that products need no more passes; any other keeps nothing,
    nor does a user's own whose factors do not fit.
    """
    members, n, d = len(next(iter(params.values()))), *x.shape[-2:]
    if isinstance(architecture, Layered) or (
        shows_layers(architecture) and n * factor_bytes(architecture, members, d, x.element_size()) <= memory_limit
    ):
        return Linearisation.around(architecture, params, x, memory_limit)
    return MatrixFree.around(architecture, params, x, memory_limit)


@dataclass(frozen=True)
class MatrixFree:
    """See ``FirstOrder``; every product takes its own passes through the network.

    Attributes:
        architecture: any network.
        w: the weights, flat, (M, N).
        x: patterns (P, d), or those of each member, (M, P, d).
        outputs: f(w, x), (M, P·C).
        memory_limit: bytes for the passes over one chunk of patterns.
    """

    architecture: Network
    w: Tensor
    x: Tensor
    outputs: Tensor
    memory_limit: float

    @classmethod
    def around(cls, architecture: Network, params: Params, x: Tensor, memory_limit: float) -> "MatrixFree":
        """Do one forward pass."""
        w = architecture.layout.flatten(params).detach()
        free = cls(architecture, w, x, w.new_empty(len(w), x.shape[-2] * architecture.n_outputs), memory_limit)
        with torch.no_grad():
            for chunk in free._chunks():
                free.outputs[:, span(chunk, architecture.n_outputs)] = free._f(w, chunk)
        return free

    def select(self, members: Tensor) -> "MatrixFree":
        x = self.x if self.x.dim() == 2 else self.x[members]
        return MatrixFree(self.architecture, self.w[members], x, self.outputs[members], self.memory_limit)

    def on(self, patterns: Tensor) -> "MatrixFree":
        member = torch.arange(len(patterns), device=patterns.device)[:, None]
        x = self.x[patterns] if self.x.dim() == 2 else self.x[member, patterns]
        outputs = self.outputs.gather(1, places(patterns, self.architecture.n_outputs))
        return MatrixFree(self.architecture, self.w, x, outputs, self.memory_limit)

    @torch.enable_grad()
    def push_forward(self, v: Tensor) -> Tensor:
        w, parts = self.w.clone().requires_grad_(), []
        for chunk in self._chunks():
            parts.append(push_forward(self._f(w, chunk), w, v))
        return torch.cat(parts, dim=1)

    @torch.enable_grad()
    def pull_back(self, a: Tensor) -> Tensor:
        w, total = self.w.clone().requires_grad_(), torch.zeros_like(self.w)
        for chunk in self._chunks():
            total += pull_back(self._f(w, chunk), w, a[:, span(chunk, self.architecture.n_outputs)])
        return total

    def kernel(self, memory_limit: float) -> Tensor:
        """See ``FirstOrder.kernel``; from the Jacobian, in blocks.

        Raises:
            ConfigError: a network that ``torch.func`` cannot differentiate.
        """
        params = self.architecture.layout.unflatten(self.w)
        return jacobian_kernel(self.architecture, params, self.x, memory_limit=memory_limit, check_finite=False)

    def _f(self, w: Tensor, patterns: slice) -> Tensor:
        return self.architecture.apply(self.architecture.layout.unflatten(w), self.x[..., patterns, :])

    def _chunks(self) -> Iterator[slice]:
        """Patterns at once: the graphs of a forward pass and of the backward pass through it are held."""
        copies = 2 * COPIES_PER_ACTIVATION * len(self.w)
        per_pattern = copies * self.architecture.activations_per_pattern * self.w.element_size()
        n = self.x.shape[-2]
        return chunks(n, chunk_size(n, per_pattern, self.memory_limit))


def pull_back(outputs: Tensor, w: Tensor, v: Tensor, *, batched: bool = False) -> Tensor:
    """Jᵀv for outputs f(w) with their graph and v of their shape, by one backward pass: the shape of w.

    With ``batched`` v has a leading axis of columns, which share the pass, and so has the result.
    """
    return torch.autograd.grad(outputs, w, v, is_grads_batched=batched)[0]


def push_forward(outputs: Tensor, w: Tensor, t: Tensor, *, batched: bool = False) -> Tensor:
    """Jt for outputs f(w) with their graph and t of the shape of w: the shape of the outputs; see ``pull_back``.

    It is the derivative of v ↦ Jᵀv, which is linear, in the direction t: one more backward pass through the first.
    PyTorch has a forward mode for it, but ``torch.autograd.forward_ad`` loads code by the deprecated
    ``torch.jit.script`` and not every network has one.
    """
    v = torch.zeros_like(outputs, requires_grad=True)  # Jᵀv is linear in v: any v gives the same derivative
    (pulled,) = torch.autograd.grad(outputs, w, v, create_graph=True)
    return torch.autograd.grad(pulled, v, t, is_grads_batched=batched)[0]
