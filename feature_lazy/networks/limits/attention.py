"""Kernels of a network of attention as its width goes to infinity (Yang, arXiv:2006.14548).

Keys are their own queries and values. Scores over n, k_t·k_r/n, tend to the covariance C(t, r) of a pattern's own keys,
so that attention is a fixed linear map of tokens, Σ → (1 + A)Σ(1 + A′)ᵀ and Θ likewise. Layer norm divides by √C(t, t):
what it takes of the mean and of the projection on its own output is of order n^{−½}, as is what scores do to signals.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from feature_lazy.networks.limits.dual import expectations
from feature_lazy.networks.limits.fields import TOLERANCE, Field, TokenLimit
from feature_lazy.networks.limits.infinite import InfiniteKernels
from feature_lazy.networks.scores import EPSILON


@dataclass(frozen=True)
class AttentionLimit(TokenLimit):
    """A network of attention of infinite width, as ``networks.attention`` has it.

    Attributes:
        depth: layers.
        scores: from Gram matrices to A.
        layernorm: whether there is layer norm.
    """

    depth: int
    scores: Callable[[Tensor], Tensor]
    layernorm: bool

    def _block(self, left: Tensor, right: Tensor) -> InfiniteKernels:
        """All pairs of both sets: A needs a pattern beside itself."""
        both, n = torch.cat([left, right]), len(left)
        names = both.unique(dim=0, return_inverse=True)[1]
        read = self.tokens.of(both) / self.tokens.size**0.5
        nngp = torch.einsum("ptd,qrd->pqtr", read, read)
        rule = expectations(self.activation, TOLERANCE)
        field = Field(nngp, torch.zeros_like(nngp), _own(nngp), names[:, None] == names, rule)
        for _ in range(self.depth):
            field = self._layer(field)
        found = field.averaged()
        return InfiniteKernels(found.ntk[:n, n:], found.nngp[:n, n:], found.error)

    def _layer(self, field: Field) -> Field:
        keys = field.dense()
        maps = self.scores(keys.nngp.diagonal(dim1=0, dim2=1).movedim(-1, 0))
        maps = maps + torch.eye(maps.shape[-1], dtype=maps.dtype, device=maps.device)
        nngp, ntk = (torch.einsum("pts,pqsu,qru->pqtr", maps, one, maps) for one in (keys.nngp, keys.ntk))
        z = self._normed(replace(keys, nngp=nngp, ntk=ntk, variance=_own(nngp)))
        return self._normed(z.plus(_activated(z.dense()).dense()))

    def _normed(self, field: Field) -> Field:
        if not self.layernorm:
            return field
        size = torch.sqrt(field.variance + EPSILON)
        over = size[:, None, :, None] * size[:, None, :]
        return replace(field, nngp=field.nngp / over, ntk=field.ntk / over, variance=field.variance / size**2)


def _own(nngp: Tensor) -> Tensor:
    """Σ(t, t) of each pattern with itself, (P, T)."""
    return nngp.diagonal(dim1=0, dim2=1).diagonal(dim1=0, dim2=1)


def _activated(field: Field) -> Field:
    """φ of all pairs of patterns, whose rows and columns are one set, so that each has one variance."""
    found = replace(field, variance=torch.cat([field.variance, field.variance])).activated()
    return replace(found, variance=found.variance[: len(field.variance)])
