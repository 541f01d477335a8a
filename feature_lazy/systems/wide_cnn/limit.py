"""Kernels of a tree of patches as its width goes to infinity (arXiv:2208.01003).

With Σ = Θ = x_i·x′_i/s of each patch, a level makes of those places that one of the next sees their mean,

    Σ′ = mean E φφ[Σ],   Θ′ = mean (E φφ[Σ] + Θ E φ′φ′[Σ]),

and so does the output of the last alone. What different places have in common plays no part, since none share a weight
of the next level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.networks.limits.dual import correlation, expectations
from feature_lazy.networks.limits.fields import TOLERANCE, TokenLimit
from feature_lazy.networks.limits.infinite import InfiniteKernels


@dataclass(frozen=True)
class TreeLimit(TokenLimit):
    """A tree of patches of infinite width, as ``network`` has it.

    Attributes:
        joins: places that one of the next level sees, of each level.
    """

    joins: Sequence[int]

    def _block(self, left: Tensor, right: Tensor) -> InfiniteKernels:
        rule, n, error = expectations(self.activation, TOLERANCE), len(left), 0.0
        both = self.tokens.of(torch.cat([left, right])).movedim(1, 0)  # (places, P1 + P2, s)
        nngp = both[:, :n] @ both[:, n:].mT / self.tokens.size
        ntk, variance = nngp, both.square().mean(2)
        names = torch.stack([one.unique(dim=0, return_inverse=True)[1] for one in both])
        same = names[:, :n, None] == names[:, None, n:]
        for s in (*self.joins, 1):
            marginals = [rule.marginals(q) for q in variance]
            error = max(error, *(one.error for one in marginals))
            values, slopes = [], []
            for one, sigma, equal in zip(marginals, nngp, same, strict=True):
                rows, columns = one.of(slice(0, n)), one.of(slice(n, None))
                value, slope = rule.joint(rows, columns, correlation(sigma, rows, columns, equal))
                values.append(value)
                slopes.append(slope)
            value = torch.stack(values)
            nngp, ntk, variance = (
                part.unflatten(0, (-1, s)).mean(1)
                for part in (value, value + torch.stack(slopes) * ntk, torch.stack([one.moment for one in marginals]))
            )
            same = same.unflatten(0, (-1, s)).all(1)
        return InfiniteKernels(ntk[0], nngp[0], error)
