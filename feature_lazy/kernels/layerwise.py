"""The exact tangent kernel Θ (eq. 5), one dense layer at a time, without the P × N Jacobian.

For a dense layer z = s·x Wᵀ the gradient of f with respect to W is s·b xᵀ with b = ∂f/∂z, so the layer adds
s² (x·x')(b·b') to Θ(x, x'): with A the inputs and B the back-propagated signals of all patterns, s² (AAᵀ) ∘ (BBᵀ).
That costs P²·h, where the Jacobian costs P²·h².
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.architectures.base import Architecture, Layered
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.params import Params

SYMMETRIC_BLOCKS = 8
"""Row blocks of a symmetric kernel at least: the work is (1 + 1/blocks)/2 of the whole."""


@dataclass(frozen=True)
class _LayerFactors:
    """A = inputs, (P, fan-in) or (E, P, fan-in), and B = ∂f/∂z, (E, P, fan-out), of one layer."""

    inputs: Tensor
    signals: Tensor
    scale: float


@dataclass(frozen=True)
class Linearisation:
    """The network to first order around some weights, as the factors A and B of every layer on fixed patterns.

    Attributes:
        outputs: f(w, x), (E, P).
        layers: A and B of every layer, in the order of the weights.
    """

    outputs: Tensor
    layers: list[_LayerFactors]

    @classmethod
    def around(cls, architecture: Layered, params: Params, x: Tensor, memory_limit: float) -> "Linearisation":
        """Gather inputs and back-propagated signals of every layer over chunks of patterns x (P, d) or (E, P, d)."""
        leaves = {name: weight.detach().requires_grad_() for name, weight in params.items()}
        members = next(iter(leaves.values())).shape[0]
        per_pattern = COPIES_PER_ACTIVATION * members * architecture.activations_per_pattern * x.element_size()
        outputs: list[Tensor] = []
        parts: list[list[_LayerFactors]] = []
        n = x.shape[-2]
        for chunk in chunks(n, chunk_size(n, per_pattern, memory_limit)):
            with torch.enable_grad():
                output, taps = architecture.taps(leaves, x[..., chunk, :])
                signals = torch.autograd.grad(output.sum(), [tap.preactivations for tap in taps])
            outputs.append(output.detach())
            parts.append([_LayerFactors(t.inputs.detach(), b, t.scale) for t, b in zip(taps, signals, strict=True)])
        layers = [
            _LayerFactors(
                torch.cat([part.inputs for part in layer], dim=-2),
                torch.cat([part.signals for part in layer], dim=-2),
                layer[0].scale,
            )
            for layer in zip(*parts, strict=True)
        ]
        return cls(torch.cat(outputs, dim=1), layers)

    def select(self, members: Tensor) -> "Linearisation":
        """The same for some members, (k,)."""
        layers = [
            _LayerFactors(
                layer.inputs if layer.inputs.dim() == 2 else layer.inputs[members], layer.signals[members], layer.scale
            )
            for layer in self.layers
        ]
        return Linearisation(self.outputs[members], layers)

    def on(self, patterns: Tensor) -> "Linearisation":
        """The same on some patterns of each member, (E, k)."""

        def chosen(values: Tensor) -> Tensor:
            return values.gather(1, patterns[:, :, None].expand(-1, -1, values.shape[2]))

        layers = [
            _LayerFactors(
                layer.inputs[patterns] if layer.inputs.dim() == 2 else chosen(layer.inputs),
                chosen(layer.signals),
                layer.scale,
            )
            for layer in self.layers
        ]
        return Linearisation(self.outputs.gather(1, patterns), layers)

    def push_forward(self, v: Tensor) -> Tensor:
        """Jv for v (E, N), flat in the order of the layers: (E, P). Each layer adds s·Σ B ∘ (AVᵀ) over its units."""
        sizes = [layer.signals.shape[2] * layer.inputs.shape[-1] for layer in self.layers]
        outputs = torch.zeros_like(self.outputs)
        for layer, part in zip(self.layers, v.split(sizes, dim=1), strict=True):
            weights = part.unflatten(1, (layer.signals.shape[2], layer.inputs.shape[-1]))
            outputs += layer.scale * (layer.signals * (layer.inputs @ weights.mT)).sum(2)
        return outputs

    def pull_back(self, a: Tensor) -> Tensor:
        """Jᵀa for a (E, P), flat in the order of the layers: (E, N). Each layer adds s·(B ∘ a)ᵀA."""
        gradients = [((layer.signals * a[:, :, None]).mT @ layer.inputs) * layer.scale for layer in self.layers]
        return torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)


def tangent_kernel(
    architecture: Architecture,
    params: Params,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    memory_limit: float = float("inf"),
) -> Tensor:
    """Θ(x, x') = ∇_w f(w, x)·∇_w f(w, x') for every pair of patterns (eq. 5).

    Args:
        architecture: a network; one that shows its dense layers needs no Jacobian.
        params: weights of E members.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted.
        memory_limit: bytes that the work beside the result may take; rows are done in blocks to keep it.

    Returns:
        Θ, shape (E, P1, P2), in the dtype of the weights.
    """
    if not isinstance(architecture, Layered):
        return jacobian_kernel(architecture, params, x1, x2, memory_limit=memory_limit)
    rows = Linearisation.around(architecture, params, x1, memory_limit)
    columns = None if x2 is None else Linearisation.around(architecture, params, x2, memory_limit)
    return kernel_of(rows, columns, memory_limit=memory_limit)


def kernel_of(
    rows: Linearisation, columns: Linearisation | None = None, *, memory_limit: float = float("inf")
) -> Tensor:
    """Θ between the patterns of two linearisations, or of one with itself: (E, P1, P2)."""
    symmetric = columns is None
    columns = rows if columns is None else columns
    (members, n_rows), n_columns = rows.outputs.shape, columns.outputs.shape[1]
    theta = rows.outputs.new_zeros(members, n_rows, n_columns)
    # One block holds two products of E·n_columns numbers a row: AAᵀ and BBᵀ.
    size = chunk_size(n_rows, 2 * members * n_columns * theta.element_size(), memory_limit)
    if symmetric:
        size = min(size, -(-n_rows // SYMMETRIC_BLOCKS))
    for block in chunks(n_rows, size):
        # A symmetric kernel is done from the diagonal on, and mirrored.
        rest = slice(block.start if symmetric else 0, n_columns)
        for row, column in zip(rows.layers, columns.layers, strict=True):
            product = row.signals[:, block] @ column.signals[:, rest].mT
            product *= row.inputs[..., block, :] @ column.inputs[..., rest, :].mT
            theta[:, block, rest].add_(product, alpha=row.scale**2)
        if symmetric:
            theta[:, block.stop :, block] = theta[:, block, block.stop :].mT
    return theta
