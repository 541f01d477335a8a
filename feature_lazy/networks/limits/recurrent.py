"""Kernels of a recurrent network as its width goes to infinity (Yang, arXiv:1902.04760 and arXiv:2006.14548).

With preactivations h_t and states s_t = φ(h_t), s_0 = 0, of one pattern and of another with a prime:

    C[h_t, h′_r] = σ_w² C[s_{t−1}, s′_{r−1}] + σ_u² x_t·x′_r/d + σ_b²,   C[s_t, s′_r] = E φφ,
    B[t, r] = own[t, r] + σ_w² B[t + 1, r + 1] E φ′φ′[t + 1, r + 1],   Θ = Σ_tr B E φ′φ′ C[h_t, h′_r] + Σ,

where own is what the output takes of the states itself: σ_v² at the last times, or σ_v²/T² at all.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from feature_lazy.networks.limits.dual import Expectations, Marginals, correlation, expectations
from feature_lazy.networks.limits.fields import TOLERANCE, TokenLimit
from feature_lazy.networks.limits.infinite import InfiniteKernels

Pair = tuple[int, int]
"""Times t and r, from 0."""


@dataclass(frozen=True)
class Recurrence(TokenLimit):
    """A recurrent network of infinite width.

    Attributes:
        sigmas: σ_w, σ_u, σ_v, σ_b.
        mean: whether the output reads the mean over all states, and not the last.
    """

    sigmas: tuple[float, float, float, float]
    mean: bool

    def _block(self, left: Tensor, right: Tensor) -> InfiniteKernels:
        rule, n = expectations(self.activation, TOLERANCE), len(left)
        both = self.tokens.of(torch.cat([left, right])).movedim(1, 0)
        names = torch.cat([left, right]).unique(dim=0, return_inverse=True)[1]
        steps, same = self._steps(rule, both), names[:n, None] == names[n:]
        values, slopes, covariances = {}, {}, {}
        for t, r in self._pairs():
            k = self._injected(both[t, :n], both[r, n:])
            if min(t, r):
                k = k + self.sigmas[0] ** 2 * values[t - 1, r - 1]
            rows, columns = steps[t].of(slice(0, n)), steps[r].of(slice(n, None))
            rho = correlation(k, rows, columns, same if t == r else None)
            values[t, r], slopes[t, r] = rule.joint(rows, columns, rho)
            covariances[t, r] = k
        own = self._own()
        nngp = sum((share * values[pair] for pair, share in own.items()), torch.zeros_like(k))
        back, ntk = {}, nngp
        for t, r in reversed(self._pairs()):
            b = torch.full_like(k, own.get((t, r), 0.0))
            if (t + 1, r + 1) in back:
                b = b + self.sigmas[0] ** 2 * back[t + 1, r + 1]
            back[t, r] = b * slopes[t, r]
            ntk = ntk + back[t, r] * covariances[t, r]
        return InfiniteKernels(ntk, nngp, steps[0].error)

    def _pairs(self) -> list[Pair]:
        """Pairs of times whose signals have something in common."""
        times = range(self.tokens.number)
        return [(t, r) for t in times for r in times if self.mean or t == r]

    def _own(self) -> dict[Pair, float]:
        last, square = self.tokens.number - 1, self.sigmas[2] ** 2
        return dict.fromkeys(self._pairs(), square / (last + 1) ** 2) if self.mean else {(last, last): square}

    def _injected(self, left: Tensor, right: Tensor) -> Tensor:
        return self.sigmas[1] ** 2 * (left @ right.mT) / self.tokens.size + self.sigmas[3] ** 2

    def _steps(self, rule: Expectations, tokens: Tensor) -> list[Marginals]:
        """What expectations need of each pattern's h_t alone, for all t with as many terms; tokens are (T, P, d)."""
        variances: list[Tensor] = []
        for token in tokens:
            q = self.sigmas[1] ** 2 * token.square().mean(1) + self.sigmas[3] ** 2
            if variances:
                q = q + self.sigmas[0] ** 2 * rule.marginals(variances[-1]).moment
            variances.append(q)
        together, n = rule.marginals(torch.cat(variances)), tokens.shape[1]
        return [together.of(slice(t * n, (t + 1) * n)) for t in range(len(tokens))]
