"""Networks of sines in SIREN's own scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from feature_lazy.core.streams import stream
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import Role

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Siren(GaussianNetwork):
    """xˡ⁺¹ = sin(ω(Wˡxˡ + Bˡ)), f = W^L x^L + B^L, in the scale in which it was proposed (arXiv:2006.09661).

    W⁰ begins as U(±1/d), Wˡ as U(±√(6/h)/ω), Bˡ as U(±1/√fan-in). WINNER adds N(0, (s₀/ω)²) to W⁰ and N(0, (s₁/ω)²) to
    W¹ (arXiv:2509.09719). Weights have no factor 1/√h: Θ grows as h.

    Attributes:
        input_dim: d.
        widths: width of each hidden layer, two or more.
        omega: ω.
        noise: s₀ and s₁.
        n_outputs: C.
    """

    input_dim: int
    widths: Sequence[int]
    omega: float = 30.0
    noise: tuple[float, float] = (0.0, 0.0)
    n_outputs: int = 1
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out W0 … WL, (fan-out, fan-in), and after each its biases B0 … BL, (fan-out, 1)."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise([self.input_dim, *self.widths, self.n_outputs])):
            shapes |= {f"W{layer}": (fan_out, fan_in), f"B{layer}": (fan_out, 1)}
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", {})

    @property
    def last_fan_in(self) -> int:
        return self.widths[-1]

    @property
    def layers(self) -> list[LayerShape]:
        return [LayerShape(shape[1], shape[0]) for shape in self.layout.shapes.values()]

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation and its sine for each hidden unit."""
        return 2 * sum(self.widths) + self.n_outputs

    def init(self, seed: int) -> dict[str, Tensor]:
        """Initial weights in float64; WINNER's are SIREN's of the same seed, and what is added."""
        import torch

        found = {}
        for name, (fan_out, fan_in) in self.layout.shapes.items():
            fan = fan_in if name.startswith("W") else self.layout.shapes[f"W{name[1:]}"][1]
            reach = 1 / math.sqrt(fan) if name.startswith("B") else 1 / fan
            if name.startswith("W") and name != "W0":
                reach = math.sqrt(6 / fan) / self.omega
            weight = stream(seed, "initialisation", name).uniform(-reach, reach, (fan_out, fan_in))
            if name in ("W0", "W1"):
                std = self.noise[int(name[1:])] / self.omega
                weight = weight + std * stream(seed, "initialisation", name, "noise").standard_normal(weight.shape)
            found[name] = torch.from_numpy(weight)
        return found

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and its dense layers."""
        taps: list[Tap] = []
        inputs, ones = x, x.new_ones(x.shape[-2], 1)
        last = len(self.widths)
        for layer in range(last + 1):
            scale = 1.0 if layer == last else self.omega
            z = inputs @ (params[f"W{layer}"] * scale).mT + scale * params[f"B{layer}"].mT
            taps += [Tap(f"W{layer}", inputs, z, scale), Tap(f"B{layer}", ones, z, scale)]
            inputs = z.sin()
        return z.flatten(1), taps
