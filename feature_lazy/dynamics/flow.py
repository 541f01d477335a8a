"""Systems to integrate. Each gives the velocity dy/dt and the outputs at a state; none knows a step size."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from feature_lazy.architectures.base import Architecture
from feature_lazy.losses import Loss
from feature_lazy.memory import COPIES_PER_ACTIVATION, chunk_size, chunks


class System(Protocol):
    """An autonomous flow of several members; ``member`` says which member each row is."""

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """Velocity (E, D) and outputs (E, P) at y (E, D)."""
        ...

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """Outputs (E, P) alone, cheaper than ``evaluate``."""
        ...


def outputs_in_chunks(architecture: Architecture, w: Tensor, x: Tensor, memory_limit: float) -> Tensor:
    """f(w, x) for flat weights w (E, N) and patterns x (P, d), chunk by chunk: shape (E, P)."""
    params = architecture.layout.unflatten(w)
    size = chunk_size(len(x), _bytes_per_pattern(architecture, w), memory_limit)
    return torch.cat([architecture.apply(params, x[chunk]) for chunk in chunks(len(x), size)], dim=1)


def _bytes_per_pattern(architecture: Architecture, w: Tensor) -> int:
    return COPIES_PER_ACTIVATION * len(w) * architecture.activations_per_pattern * w.element_size()


class NetworkFlow:
    """Gradient flow ẇ = −∇𝓛, 𝓛 = 1/(α²P) Σ ℓ(F, y), F = α(f(w, x) − f(w₀, x)) (eqs. 6–7)."""

    def __init__(
        self,
        architecture: Architecture,
        x: Tensor,
        labels: Tensor,
        loss: Loss,
        *,
        alpha: Tensor,
        w0: Tensor,
        memory_limit: float = float("inf"),
    ) -> None:
        """Fix what the flow depends on.

        Args:
            architecture: the network f.
            x: training patterns (P, d).
            labels: y = ±1, (P,).
            loss: ℓ.
            alpha: α of each member, (M,).
            w0: initial weights of each member, (M, N).
            memory_limit: bytes for one chunk of patterns.
        """
        self.architecture = architecture
        self.x = x
        self.labels = labels
        self.loss = loss
        self.alpha = alpha
        self.memory_limit = memory_limit
        self.f0 = outputs_in_chunks(architecture, w0, x, memory_limit)

    def evaluate(self, y: Tensor, member: Tensor) -> tuple[Tensor, Tensor]:
        """−∇𝓛 (E, N) and F on the training set (E, P) at weights y (E, N)."""
        w = y.detach().requires_grad_()
        velocity = torch.zeros_like(y)
        scale = -1 / (self.alpha[member] ** 2 * len(self.x))

        def descend(predictor: Tensor, chunk: slice) -> None:
            objective = self.loss(predictor, self.labels[chunk]).sum(1) @ scale
            velocity.add_(torch.autograd.grad(objective, w)[0])

        with torch.enable_grad():
            return velocity, self._predictor(w, member, descend)

    def outputs(self, y: Tensor, member: Tensor) -> Tensor:
        """F on the training set (E, P)."""
        return self._predictor(y, member)

    def _predictor(self, w: Tensor, member: Tensor, visit: Callable[[Tensor, slice], None] | None = None) -> Tensor:
        """F chunk by chunk; ``visit`` sees each chunk while its graph is alive."""
        size = chunk_size(len(self.x), _bytes_per_pattern(self.architecture, w), self.memory_limit)
        alpha, f0 = self.alpha[member, None], self.f0[member]
        parts = []
        for chunk in chunks(len(self.x), size):
            f = self.architecture.apply(self.architecture.layout.unflatten(w), self.x[chunk])
            predictor = alpha * (f - f0[:, chunk])
            if visit is not None:
                visit(predictor, chunk)
            parts.append(predictor.detach())
        return torch.cat(parts, dim=1)
