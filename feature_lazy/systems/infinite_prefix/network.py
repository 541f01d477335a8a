"""Attention with a trained prefix: in the theory's own form, over tokens, and with sums in its place."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.sequences import Tokens
from feature_lazy.systems.infinite_prefix.features import count, features

FROZEN = frozenset({"Q", "K", "V", "R"})
"""Weights of queries, keys and values, and of what reads their attention: they begin as N(0, 1), and stay."""
P = TypeVar("P", bound="Prefix")


@dataclass(frozen=True)
class Prefix:
    """What all forms share. Every weight begins as N(0, 1), each from the seed's own stream.

    Attributes:
        tokens: how patterns are read.
        width: m, vectors of the prefix.
        temperature: τ, what scores q·k/√d are divided by.
        n_outputs: C.
    """

    tokens: Tokens
    width: int
    temperature: float = 1.0
    n_outputs: int = 1
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout(self._shapes(), FROZEN & {*self._shapes()}))

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        d = self.tokens.size
        return dict.fromkeys("QKV", (d, d)) | {"R": (self.n_outputs, d), "W0": (self.width, d)}

    @property
    def last_fan_in(self) -> int:
        return self.width

    @property
    def softness(self) -> float:
        """τ√d, d numbers in a token."""
        return self.temperature * math.sqrt(self.tokens.size)

    @property
    def activations_per_pattern(self) -> int:
        """Three vectors of each token, and for each token a score and a weight of every vector (feature) and token."""
        number, d = self.tokens.number, self.tokens.size
        return number * (4 * d + 2 * (self.layout.shapes["W0"][0] + number)) + self.n_outputs

    @property
    def forward_flops(self) -> float:
        """Of the products of patterns; those of the prefix with itself are few patterns' own."""
        number, d = self.tokens.number, self.tokens.size
        return 2.0 * number * d * (3 * d + 2 * (self.layout.shapes["W0"][0] + number)) + 2.0 * self.n_outputs * d

    @property
    def signal_flops(self) -> float:
        return self.forward_flops

    def init(self, seed: int) -> dict[str, Tensor]:
        """N(0, 1), float64."""
        return {name: _normal(seed, name, shape) for name, shape in self.layout.shapes.items()}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f = √m·R·mean_t(attention of token t)/√d, (M, P·C), as ``Network.apply`` gives it."""
        read = self.attend(params, x).mean(2) @ params["R"].mT
        return read.flatten(1) * math.sqrt(self.width / self.tokens.size)

    def attend(self, params: Params, x: Tensor) -> Tensor:
        """softmax(q·[K_P; K]ᵀ/τ√d)·[V_P; V] at each token, (M, P, T, d), of a prefix K_P = W⁰Kᵀ/√d, V_P = W⁰Vᵀ/√d.

        Queries, keys and values of tokens are made by Q, K and V in the same way (section 3).
        """
        q, k, v = self.heads(params, x)
        keys, values = self.vectors(params)
        scores = torch.cat([_times(q, keys.mT), q @ k.mT], -1) / self.softness
        ours, own = scores.softmax(-1).split([keys.shape[-2], k.shape[-2]], -1)
        return _times(ours, values) + own @ v

    def heads(self, params: Params, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of tokens, (M, P, T, d) each."""
        tokens = self.tokens.of(x)
        q, k, v = (_times(tokens, params[name].mT / math.sqrt(self.tokens.size)) for name in "QKV")
        return q, k, v

    def vectors(self, params: Params) -> tuple[Tensor, Tensor]:
        """Keys and values of the prefix, (M, m, d) each."""
        keys, values = (params["W0"] @ params[name].mT / math.sqrt(self.tokens.size) for name in "KV")
        return keys, values

    def alone(self, params: Params, x: Tensor) -> Tensor:
        """What ``attend`` is without a prefix."""
        q, k, v = self.heads(params, x)
        return (q @ k.mT / self.softness).softmax(-1) @ v


@dataclass(frozen=True)
class Stylised(Prefix):
    """f = √m Σ_r s_r a_r R·w_r/√d, s = softmax_r(w_r·x/τ√d), a_r = (−1)^r: x is a query, vectors are keys and values.

    That is R·F/√(md) of the F = m Σ_r a_r e^{w_r·x}w_r/Σ_r e^{w_r·x} whose training the paper follows, x being divided
    by √d where patterns have |x|² = d. The prefix has no other tokens beside it.
    """

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super()._shapes()
        return {name: shapes[name] for name in ("R", "W0")}

    def attend(self, params: Params, x: Tensor) -> Tensor:
        w = params["W0"]
        signs = 1 - 2 * (torch.arange(self.width, device=w.device) % 2).to(w)
        scores = _times(self.tokens.of(x), w.mT) / self.softness
        return _times(scores.softmax(-1), signs[:, None] * w)


@dataclass(frozen=True)
class NtkAttention(Prefix):
    """NTK-Attention: (Σ_s e^{q·k_s/τ√d}v_s + φ(q)Z)/(Σ_s e^{q·k_s/τ√d} + φ(q)·|k|), Z and k in place of a prefix.

    Z = √m·W⁰ and k = √m·W¹ begin as Σ_j φ(k_j)v_jᵀ and Σ_j φ(k_j) over the vectors of the prefix that the seed draws;
    they are r·d + r numbers, whatever m. φ = elu + 1 of q/√τd^{1/4} as in the authors' code, with r = d; features of
    the exponential keep the sign of k.

    Attributes:
        degree: of monomials as features; 0: elu + 1.
    """

    degree: int = 0

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        r = count(self.tokens.size, self.degree)
        return super()._shapes() | {"W0": (r, self.tokens.size), "W1": (r, 1)}

    def init(self, seed: int) -> dict[str, Tensor]:
        begun = {name: weight[None] for name, weight in like(self, Prefix).init(seed).items()}
        return {name: weight[0] for name, weight in self.sums(begun).items()}

    def sums(self, params: Params) -> Params:
        """The weights that stand for those of a prefix."""
        keys, values = self.vectors(params)
        phi = self.phi(keys).mT / math.sqrt(self.width)
        return {**params, "W0": phi @ values, "W1": phi.sum(-1, keepdim=True)}

    def phi(self, x: Tensor) -> Tensor:
        """φ of queries or keys (…, d), (…, r)."""
        return features(x / math.sqrt(self.softness), self.degree)

    def attend(self, params: Params, x: Tensor) -> Tensor:
        q, k, v = self.heads(params, x)
        scores = q @ k.mT / self.softness
        # Above and below the bar by the same factor: neither the tokens' exponentials nor this one overflow.
        highest = scores.amax(-1, keepdim=True).clamp(min=0)
        own, phi = (scores - highest).exp(), self.phi(q) * (-highest).exp()
        z, total = (math.sqrt(self.width) * params[name] for name in ("W0", "W1"))
        weight = own.sum(-1, keepdim=True) + _times(phi, total if self.degree else total.abs())
        return (own @ v + _times(phi, z)) / weight


def like(net: Prefix, form: type[P], **more: int) -> P:
    """A network of another form over the same tokens."""
    return form(net.tokens, net.width, net.temperature, net.n_outputs, **more)


def _times(x: Tensor, matrix: Tensor) -> Tensor:
    """Vectors (M, P, T, n), or (P, T, n) for all members, times one matrix of each member (M, n, k): (M, P, T, k).

    By rows: ``matmul`` would copy the matrix for every pattern.
    """
    return (x.flatten(-3, -2) @ matrix).unflatten(-2, x.shape[-3:-1])


def _normal(seed: int, name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(stream(seed, "initialisation", name).standard_normal(shape))
