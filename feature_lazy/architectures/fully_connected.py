"""The fully connected network of the article (eqs. 11–14)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from feature_lazy.activations import Activation
from feature_lazy.architectures.base import DenseTap
from feature_lazy.params import Layout, Params
from feature_lazy.seeds import stream


@dataclass(frozen=True)
class FullyConnected:
    """z¹ = W⁰x/√d, xˡ = φ(zˡ), zˡ⁺¹ = Wˡxˡ/√h, f = W^L x^L/√h, every weight ~ N(0, 1), no bias (eqs. 11–14).

    Attributes:
        input_dim: d, entries of one pattern.
        widths: width of each hidden layer; its length is the depth L ≥ 1.
        activation: φ with E φ² = 1.
    """

    input_dim: int
    widths: Sequence[int]
    activation: Activation
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the L + 1 weights W0 … WL, each (fan-out, fan-in)."""
        sizes = [self.input_dim, *self.widths, 1]
        shapes = {f"W{layer}": (sizes[layer + 1], sizes[layer]) for layer in range(len(sizes) - 1)}
        object.__setattr__(self, "layout", Layout(shapes))

    @property
    def last_fan_in(self) -> int:
        """Width of the last hidden layer: the h in √h·α."""
        return self.widths[-1]

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation and an activation for each hidden unit, and the output."""
        return 2 * sum(self.widths) + 1

    @property
    def forward_flops(self) -> float:
        """2 Σ fan-in · fan-out."""
        return 2.0 * sum(fan_out * fan_in for fan_out, fan_in in self.layout.shapes.values())

    @property
    def signal_flops(self) -> float:
        """A forward pass without the first layer, whose inputs need no gradient."""
        return self.forward_flops - 2.0 * self.input_dim * self.widths[0]

    @property
    def kernel_flops(self) -> float:
        """2 Σ (fan-in + fan-out): the products AAᵀ and BBᵀ."""
        return 2.0 * sum(fan_out + fan_in for fan_out, fan_in in self.layout.shapes.values())

    def init(self, seed: int) -> dict[str, Tensor]:
        """Every weight ~ N(0, 1) in float64, from the seed's own stream of that weight."""
        return {
            name: torch.from_numpy(stream(seed, "initialisation", name).standard_normal(shape))
            for name, shape in self.layout.shapes.items()
        }

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[DenseTap]]:
        """f(w, x) of shape (E, P), and the L + 1 dense layers that led to it.

        All constant factors, 1/√fan-in and the activation's a, are applied to the weights and not to the P times
        larger activations: φ(z) = a·φ₀(z), and a travels on to the next layer's scale.
        """
        layers: list[DenseTap] = []
        inputs, factor = x, 1.0
        for name, (_, fan_in) in self.layout.shapes.items():
            scale = factor / math.sqrt(fan_in)
            z = torch.matmul(inputs, (params[name] * scale).mT)
            layers.append(DenseTap(name, inputs, z, scale))
            inputs, factor = self.activation.shape(z), self.activation.factor
        return z.squeeze(-1), layers

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x) for patterns x (P, d): shape (E, P)."""
        return self.taps(params, x)[0]
