"""The exact tangent kernel Θ (eq. 5), one dense layer at a time, without the P × N Jacobian.

For a dense layer z = s·x Wᵀ the gradient of f with respect to W is s·b xᵀ with b = ∂f/∂z, so the layer adds
s² (x·x')(b·b') to Θ(x, x'): with A the inputs and B the back-propagated signals of all patterns, s² (AAᵀ) ∘ (BBᵀ).
That costs P²·h, where the Jacobian costs P²·h².
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.architectures.base import Architecture
from feature_lazy.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.params import Params


@dataclass(frozen=True)
class _LayerFactors:
    """A = inputs, (P, fan-in) or (E, P, fan-in), and B = ∂f/∂z, (E, P, fan-out), of one layer."""

    inputs: Tensor
    signals: Tensor
    scale: float


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
        architecture: a network whose weights all belong to dense layers.
        params: weights of E members.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted.
        memory_limit: bytes that the work beside the result may take; rows are done in blocks to keep it.

    Returns:
        Θ, shape (E, P1, P2), in the dtype of the weights.
    """
    rows = _factors(architecture, params, x1, memory_limit)
    columns = rows if x2 is None else _factors(architecture, params, x2, memory_limit)
    signals = rows[0].signals
    members, n_rows, n_columns = signals.shape[0], x1.shape[0], columns[0].signals.shape[1]
    theta = signals.new_zeros(members, n_rows, n_columns)
    # One block holds two products of E·n_columns numbers a row: AAᵀ and BBᵀ.
    size = chunk_size(n_rows, 2 * members * n_columns * theta.element_size(), memory_limit)
    for row, column in zip(rows, columns, strict=True):
        for block in chunks(n_rows, size):
            product = row.signals[:, block] @ column.signals.mT
            product *= row.inputs[..., block, :] @ column.inputs.mT
            theta[:, block].add_(product, alpha=row.scale**2)
    return theta


def _factors(architecture: Architecture, params: Params, x: Tensor, memory_limit: float) -> list[_LayerFactors]:
    """Inputs and back-propagated signals of every layer, gathered over chunks of patterns."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in params.items()}
    members = next(iter(leaves.values())).shape[0]
    per_pattern = COPIES_PER_ACTIVATION * members * architecture.activations_per_pattern * x.element_size()
    size = chunk_size(len(x), per_pattern, memory_limit)
    parts: list[list[_LayerFactors]] = []
    for chunk in chunks(len(x), size):
        with torch.enable_grad():
            output, taps = architecture.taps(leaves, x[chunk])
            signals = torch.autograd.grad(output.sum(), [tap.preactivations for tap in taps])
        parts.append([_LayerFactors(t.inputs.detach(), b, t.scale) for t, b in zip(taps, signals, strict=True)])
    return [
        _LayerFactors(
            torch.cat([part.inputs for part in layer], dim=-2),
            torch.cat([part.signals for part in layer], dim=-2),
            layer[0].scale,
        )
        for layer in zip(*parts, strict=True)
    ]


def relative_change(theta: Tensor, theta0: Tensor) -> Tensor:
    """Kernel change ‖Θ − Θ₀‖_F/‖Θ₀‖_F of each member (Fig. 5a): (E, P, P) and (E, P, P) → (E,)."""
    return torch.linalg.matrix_norm(theta - theta0) / torch.linalg.matrix_norm(theta0)


def describe(theta: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
    """Scalars of Θ (E, P, P) for labels y (P,), each of shape (E,).

    ``norm`` = ‖Θ‖_F, ``mean`` = mean entry, ``trace``, ``alignment`` = yᵀΘy/(‖y‖²‖Θ‖_F), between −1 and 1.
    """
    norm = torch.linalg.matrix_norm(theta)
    quadratic_form = torch.einsum("p,epq,q->e", labels, theta, labels)
    return {
        "norm": norm,
        "mean": theta.mean(dim=(1, 2)),
        "trace": theta.diagonal(dim1=1, dim2=2).sum(1),
        "alignment": quadratic_form / (labels.square().sum() * norm),
    }
