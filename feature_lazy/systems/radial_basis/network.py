"""Gaussians around patterns with one precision matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.networks.layout import Layout, Params

SOME = 200
"""Patterns among which the typical exponent is looked for."""
ROUNDS = 20
"""Of k-means."""


@dataclass(frozen=True)
class RadialBasis:
    """f(x) = Σ_k W_k exp(−½|Γ(x − c_k)|²)/√h, with W ~ N(0, 1), Γ = 1/√d and centres among the training patterns.

    One precision matrix ΓᵀΓ is shared by all centres (arXiv:2307.05639). Γ begins isotropic, and not as N(0, 1) as in
    the authors' code, so that all that it shows was learnt.

    Attributes:
        x: training patterns (P, d), P ≥ h.
        width: h, centres.
        fixed: whether centres stay.
        means: whether they begin as means of k-means, and not as patterns.
        n_outputs: C.
    """

    x: Tensor
    width: int
    fixed: bool = False
    means: bool = False
    n_outputs: int = 1
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        d = self.x.shape[1]
        shapes = {"W0": (d, d), "C0": (self.width, d), "W1": (self.n_outputs, self.width)}
        object.__setattr__(self, "layout", Layout(shapes, frozenset({"C0"} if self.fixed else ())))

    @property
    def last_fan_in(self) -> int:
        return self.width

    @property
    def activations_per_pattern(self) -> int:
        """A pattern in the metric, and for each centre a distance, an exponent and a Gaussian."""
        return 2 * self.x.shape[1] + 3 * self.width + self.n_outputs

    @property
    def forward_flops(self) -> float:
        """Of the products; those of the centres are few patterns' own."""
        d, h = self.x.shape[1], self.width
        return 2.0 * (d * d + d * h + h * self.n_outputs)

    @property
    def signal_flops(self) -> float:
        return self.forward_flops

    def init(self, seed: int) -> dict[str, Tensor]:
        """Γ = 1/√d, W ~ N(0, 1), and centres that the seed draws from the training patterns; float64."""
        patterns = self.x.double().cpu()
        random = stream(seed, "initialisation", "C0")
        chosen = torch.from_numpy(random.permutation(len(patterns))[: self.width].copy())
        weights = stream(seed, "initialisation", "W1").standard_normal((self.n_outputs, self.width))
        return {
            "W0": torch.eye(patterns.shape[1], dtype=torch.float64) / math.sqrt(patterns.shape[1]),
            "C0": _means(patterns, patterns[chosen]) if self.means else patterns[chosen],
            "W1": torch.from_numpy(weights),
        }

    def apply(self, params: Params, x: Tensor) -> Tensor:
        gaussians = self._exponents(params["W0"], params["C0"], x).exp()
        return (gaussians @ params["W1"].mT / math.sqrt(self.width)).flatten(1)

    def metric(self, params: Params) -> Tensor:
        """ΓᵀΓ, (M, d, d)."""
        return params["W0"].mT @ params["W0"]

    def typical_exponent(self) -> float:
        """Median of −½|Γ(x − c)|² at the start between training patterns, up to ``SOME`` of them."""
        some = self.x[:SOME]
        gamma = torch.eye(some.shape[1], dtype=some.dtype, device=some.device)[None] / math.sqrt(some.shape[1])
        return float(self._exponents(gamma, some[None], some).median())

    def _exponents(self, gamma: Tensor, centres: Tensor, x: Tensor) -> Tensor:
        """−½|Γ(x − c)|², (M, P, h), by products: differences would take d times the memory."""
        left, right = x @ gamma.mT, centres @ gamma.mT
        squares = left.square().sum(-1)[..., :, None] + right.square().sum(-1)[..., None, :]
        return left @ right.mT - squares / 2


def _means(patterns: Tensor, centres: Tensor) -> Tensor:
    """Centres after ``ROUNDS`` of k-means (Lloyd 1982); one that no pattern is nearest to stays."""
    for _ in range(ROUNDS):
        nearest = torch.cdist(patterns, centres).argmin(1)
        mine = torch.nn.functional.one_hot(nearest, len(centres)).to(patterns)
        count = mine.sum(0)[:, None]
        centres = torch.where(count > 0, mine.mT @ patterns / count.clamp(min=1), centres)
    return centres
