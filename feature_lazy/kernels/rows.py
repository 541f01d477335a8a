"""The rows of the Jacobian that belong to one weight, where nothing is known of the layer behind it."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.core.memory import WORKING, chunk_size
from feature_lazy.kernels.factors import row_blocks
from feature_lazy.networks.outputs import places, span


@dataclass(frozen=True)
class Rows:
    """∂f_c/∂w of one weight of n entries, on fixed patterns; it stands beside the ``Factors`` of others.

    Attributes:
        gradients: (M, P·C, n).
        n_outputs: C.
    """

    gradients: Tensor
    n_outputs: int = 1

    def room(self, n: int) -> "Rows":
        """See ``Factors.room``."""
        members, _, size = self.gradients.shape
        return replace(self, gradients=self.gradients.new_empty(members, n * self.n_outputs, size))

    def put(self, part: "Rows", patterns: slice) -> None:
        """See ``Factors.put``."""
        self.gradients[:, span(patterns, self.n_outputs)] = part.gradients

    def select(self, members: Tensor) -> "Rows":
        """See ``Factors.select``."""
        return replace(self, gradients=self.gradients[members])

    def on(self, patterns: Tensor) -> "Rows":
        """See ``Factors.on``."""
        member = torch.arange(len(patterns), device=patterns.device)[:, None]
        return replace(self, gradients=self.gradients[member, places(patterns, self.n_outputs)])

    def traced(self) -> "Rows":
        """See ``Factors.traced``: the gradients of all outputs of a pattern as one row."""
        return Rows(self.gradients.unflatten(1, (-1, self.n_outputs)).flatten(2))

    def pull_back(self, a: Tensor) -> Tensor:
        """Jᵀa for a (M, P·C): (M, n)."""
        return (a[:, None] @ self.gradients)[:, 0]

    def push_forward(self, v: Tensor) -> Tensor:
        """Jv for v (M, n): (M, P·C)."""
        return (self.gradients @ v[..., None])[..., 0]

    def add_kernel(self, theta: Tensor, columns: "Rows | None", memory_limit: float) -> None:
        """See ``Factors.add_kernel``."""
        members, n_rows, n_columns = theta.shape
        right = self if columns is None else columns
        size = chunk_size(n_rows, members * n_columns * theta.element_size(), min(memory_limit, WORKING))
        for block, rest in row_blocks(n_rows, n_columns, size, symmetric=columns is None):
            theta[:, block, rest].add_(self.gradients[:, block] @ right.gradients[:, rest].mT)
