"""Networks whose layers multiply trained weights with features that stay."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from feature_lazy.core.streams import stream
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, dense_layers
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import Role

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.networks.limits.infinite import InfiniteKernels

PARTS = {"relu": 1, "urf_sin": 2}
"""Numbers that a row of G makes of an input: real and imaginary part of what is complex."""


@dataclass(frozen=True)
class Snnk(GaussianNetwork):
    """zˡ = WˡΦˡ(zˡ⁻¹)/√m with L layers of h, f = W^L z^L/√h; bundled f = WΦ^L(… Φ¹(x))/√m, linear in its weights.

    Φ(x), of u = Gx/√d with m rows of G ~ N(0, 1) that stay, takes the place of an activation (arXiv:2310.13225): of
    max(0, z) it is √2·max(0, u), of sin the real and the imaginary part of e^{ρu − ρ²|x|²/2d − ½}, ρ² = i. Products of
    such waves of x and of w have the mean e^{ix·w/d − 1}. Every trained weight begins as N(0, 1), or W as Φ(w)/√m for
    rows w of an ordinary layer, of waves with the parts changed over: then z is near the arc-cosine kernel of x
    and w, or sin(x·w/d)/e.

    Attributes:
        input_dim: d.
        width: h; of a bundled network m.
        features: m of a network that is not bundled.
        depth: L.
        function: ``relu`` or ``urf_sin``.
        bundled: whether the layers are one.
        orthogonal: whether rows of G are orthogonal, as many as can be, at the lengths that they have.
        n_outputs: C.
        start: ``random``, or ``ffl`` for trained weights that stand for those of ordinary layers.
        seed: of G, whatever the seed of the other weights; the same as theirs if omitted.
    """

    input_dim: int
    width: int
    features: int
    depth: int = 1
    function: str = "relu"
    bundled: bool = False
    orthogonal: bool = False
    n_outputs: int = 1
    start: str = "random"
    seed: int | None = None
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out G0, W0 (h, m), …, WL (C, h); of a bundled network G0 …, WL (C, m)."""
        shapes: dict[str, tuple[int, ...]] = {}
        fan_in, made = self.input_dim, self.number * PARTS[self.function]
        for layer in range(self.depth):
            shapes[f"G{layer}"] = (self.number, fan_in)
            if not self.bundled:
                shapes[f"W{layer}"] = (self.width, made)
            fan_in = made if self.bundled else self.width
        shapes[f"W{self.depth}"] = (self.n_outputs, fan_in)
        fixed = frozenset(name for name in shapes if name.startswith("G"))
        object.__setattr__(self, "layout", Layout(shapes, fixed))
        object.__setattr__(self, "roles", {})

    @property
    def number(self) -> int:
        """m."""
        return self.width if self.bundled else self.features

    @property
    def last_fan_in(self) -> int:
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        return dense_layers(self.layout)

    @property
    def activations_per_pattern(self) -> int:
        """For each layer Gx, features and, where they are not bundled, z."""
        features = self.number * (1 + PARTS[self.function])
        return self.depth * (features + self.width * (not self.bundled)) + self.n_outputs

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``, of a bundled network: Θ∞ = Σ∞ is the arc-cosine kernel, or e^{x·x′/d − 1}, L times."""
        import torch

        from feature_lazy.networks.activations import Relu, scaled
        from feature_lazy.networks.limits.infinite import InfiniteKernels, infinite_kernels

        if self.function == "relu":
            found = infinite_kernels(scaled(Relu()), self.depth, x1, x2)
            return InfiniteKernels(found.nngp, found.nngp, found.error)
        products = x1 @ (x1 if x2 is None else x2).mT / self.input_dim
        for _ in range(self.depth):
            products = torch.exp(products - 1)
        return InfiniteKernels(products, products, 0.0)

    def init(self, seed: int) -> dict[str, Tensor]:
        import torch

        found = super().init(seed)
        of_features = seed if self.seed is None else self.seed
        found |= {name: g for name, g in super().init(of_features).items() if name in self.layout.fixed}
        if self.orthogonal:
            for name in self.layout.fixed:
                lengths = stream(of_features, "initialisation", name, "lengths").standard_normal(found[name].shape)
                found[name] = torch.from_numpy(_orthogonal(found[name].numpy(), lengths))
        if self.start == "ffl":
            for number in range(self.depth):
                g = found[f"G{number}"]
                rows = stream(seed, "initialisation", f"W{number}", "rows").standard_normal((self.width, g.shape[1]))
                found[f"W{number}"] = self._standing_for(torch.from_numpy(rows), g)
        return found

    def _standing_for(self, w: Tensor, g: Tensor) -> Tensor:
        """Trained weights (h, numbers of Φ) in place of the rows (h, fan-in) of an ordinary layer."""
        import torch

        fan_in = w.shape[1]
        waves = self._map(w @ g.mT / math.sqrt(fan_in), w.square().sum(-1, keepdim=True) / fan_in)
        if self.function == "urf_sin":  # the imaginary part of a product
            waves = torch.cat(waves.chunk(2, dim=-1)[::-1], dim=-1)
        return waves / math.sqrt(self.number)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and its dense layers, those that stay among them."""
        taps: list[Tap] = []

        def layer(name: str, inputs: Tensor, fan_in: int) -> Tensor:
            z = inputs @ (params[name] / math.sqrt(fan_in)).mT
            taps.append(Tap(name, inputs, z, 1 / math.sqrt(fan_in)))
            return z

        z, fan_in = x, self.input_dim
        for number in range(self.depth):
            z = self._map(layer(f"G{number}", z, fan_in), z.square().sum(-1, keepdim=True) / fan_in)
            fan_in = self.number
            if not self.bundled:
                z, fan_in = layer(f"W{number}", z, fan_in), self.width
        return layer(f"W{self.depth}", z, fan_in).flatten(1), taps

    def _map(self, u: Tensor, square: Tensor) -> Tensor:
        """Φ of u = Gx/√d and |x|²/d."""
        import torch

        if self.function == "relu":
            return math.sqrt(2) * u.relu()
        u = u / math.sqrt(2)
        size, phase = torch.exp(u - 0.5), u - square / 2
        return torch.cat([size * phase.cos(), size * phase.sin()], dim=-1)


def _orthogonal(normal: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows of normal numbers (m, n), made orthogonal n at a time, with the lengths of other rows (m, n)."""
    m, n = normal.shape
    # The columns of Q, signs of R taken out, are uniform over the sphere.
    blocks = [np.linalg.qr(normal[start : start + n].T) for start in range(0, m, n)]
    rows = np.concatenate([(q * np.sign(np.diag(r))).T for q, r in blocks])
    return rows * np.linalg.norm(lengths, axis=1, keepdims=True)
