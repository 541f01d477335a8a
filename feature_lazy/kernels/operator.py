"""The tangent kernel as an operator: products Θv = J(Jᵀv) for any network, without Θ and without J."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from feature_lazy.core.arrays import real, tensor
from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.kernels.checks import finite, of_network
from feature_lazy.kernels.first_order import pull_back, push_forward
from feature_lazy.networks.base import Network
from feature_lazy.networks.layout import Params
from feature_lazy.networks.outputs import span


class TangentOperator(LinearOperator):
    """Θ(x, x') = ∇_w f(w, x)·∇_w f(w, x') (eq. 5) of one member as a ``scipy.sparse.linalg.LinearOperator``, (P1, P2).

    For C outputs it is (P1·C, P2·C), those of a pattern side by side.

    Jᵀv is one backward pass, and Jt one more through it (``first_order.push_forward``). Several columns share the
    forward passes and half the time: ``op @ V`` beats a loop over its columns.

    ``top_eigenvalues(op, k)`` and ``scipy.sparse.linalg.eigsh(op, k)`` give its largest eigenvalues; ``op @ v`` with
    test patterns as ``x1`` and training patterns as ``x2`` gives K_test,train v.
    """

    def __init__(
        self,
        architecture: Network,
        params: Params,
        x1: Tensor,
        x2: Tensor | None = None,
        *,
        memory_limit: float = float("inf"),
    ) -> None:
        """Fix weights and patterns.

        Args:
            architecture: any network.
            params: weights of one member, (1, …).
            x1: patterns of the rows, (P1, d).
            x2: patterns of the columns, (P2, d); ``x1`` if omitted.
            memory_limit: bytes that a product may take: half for patterns in chunks, half for weights of columns.

        Raises:
            ValueError: weights of more than one member.
        """
        x1 = real(tensor(x1, "patterns"), "patterns")
        x2 = None if x2 is None else real(tensor(x2, "patterns"), "patterns")
        params = of_network(architecture, params, x1, x2)
        self.w = architecture.layout.flatten(params).detach()
        if len(self.w) != 1:
            raise ValueError(f"there are weights of {len(self.w)} members; an operator is the kernel of one.")
        self.architecture, self.memory_limit = architecture, memory_limit
        self.x1, self.x2 = x1, x1 if x2 is None else x2
        c = architecture.n_outputs
        super().__init__(self.w.new_empty(0).cpu().numpy().dtype, (c * len(self.x1), c * len(self.x2)))

    def _matmat(self, X: np.ndarray) -> np.ndarray:  # noqa: N803 (SciPy's name)
        """ΘV for V (P2·C, k): (P1·C, k)."""
        v = torch.from_numpy(np.array(X.T, order="C")).to(self.w)
        # Jᵀv of one chunk and the sum of all.
        together = chunk_size(len(v), 2 * self.w.numel() * self.w.element_size(), self.memory_limit / 2)
        products = [self._push_forward(self._pull_back(v[part])) for part in chunks(len(v), together)]
        return finite(torch.cat(products), "product with the tangent kernel").mT.cpu().numpy()

    def _adjoint(self) -> "TangentOperator":
        """Θ(x', x): rows and columns change places."""
        params = self.architecture.layout.unflatten(self.w)
        return TangentOperator(self.architecture, params, self.x2, self.x1, memory_limit=self.memory_limit)

    @torch.enable_grad()
    def _pull_back(self, v: Tensor) -> Tensor:
        """Jᵀv on the columns' patterns for v (M, P2·C): (M, N)."""
        w, total = self.w.clone().requires_grad_(), self.w.new_zeros(len(v), self.w.shape[1])
        for chunk in self._chunks(self.x2, len(v)):
            of_chunk = v[:, span(chunk, self.architecture.n_outputs)]
            total += pull_back(self._outputs(w, self.x2[chunk]), w, of_chunk, batched=True)[:, 0]
        return total

    @torch.enable_grad()
    def _push_forward(self, t: Tensor) -> Tensor:
        """Jt on the rows' patterns for t (M, N): (M, P1·C)."""
        w, parts = self.w.clone().requires_grad_(), []
        for chunk in self._chunks(self.x1, len(t)):
            parts.append(push_forward(self._outputs(w, self.x1[chunk]), w, t[:, None], batched=True))
        return torch.cat(parts, dim=1)

    def _outputs(self, w: Tensor, x: Tensor) -> Tensor:
        """f(w, x) for flat weights (1, N): (P·C,)."""
        return self.architecture.apply(self.architecture.layout.unflatten(w), x)[0]

    def _chunks(self, x: Tensor, columns: int) -> Iterator[slice]:
        """Patterns at once, for as many backward passes as there are columns beside the graph of one forward pass."""
        copies = COPIES_PER_ACTIVATION * (1 + columns)
        per_pattern = copies * self.architecture.activations_per_pattern * self.w.element_size()
        return chunks(len(x), chunk_size(len(x), per_pattern, self.memory_limit / 2))
