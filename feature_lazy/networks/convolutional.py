"""The convolutional network of the article (section 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from feature_lazy.networks.activations import Activation
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap
from feature_lazy.networks.geometry import ImageShape, Window, article_sides, article_windows
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Parametrisation, Role


@dataclass(frozen=True)
class Convolutional(GaussianNetwork):
    """Blocks of convolutions with 5 × 5 filters, the first of stride 2, then the spatial mean and a dense layer.

    zˡ⁺¹ = Wˡ * xˡ/√(25 C), xˡ = φ(zˡ) with C channels, f = W·⟨x^L⟩/√C, ⟨⟩ the mean over positions; every weight
    ~ N(0, 1), no bias (section 7).

    Attributes:
        image_shape: (C, H, W) of a pattern, which is flat everywhere else; H = W, even.
        widths: channels of each block.
        activation: φ with E φ² = 1.
        per_block: convolutions in a block.
        parametrisation: how weights are scaled with the width.
        n_outputs: of the dense layer.
    """

    image_shape: ImageShape
    widths: Sequence[int]
    activation: Activation
    per_block: int = 2
    parametrisation: Parametrisation = NTK
    n_outputs: int = 1
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)
    windows: list[Window] = field(init=False)
    sides: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the filters W0 … , each (C_out, C_in, 5, 5), and the dense layer, (n_outputs, C).

        Raises:
            ConfigError: images that are not square, have an odd side, or are too small for the network's depth.
        """
        sides = article_sides(self.image_shape, len(self.widths), self.per_block)
        windows = article_windows(len(self.widths), self.per_block)
        channels = [self.image_shape[0], *(c for c in self.widths for _ in range(self.per_block))]
        shapes: dict[str, tuple[int, ...]] = {
            f"W{layer}": (after, before, windows[layer].size, windows[layer].size)
            for layer, (before, after) in enumerate(pairwise(channels))
        }
        roles = {name: Role.HIDDEN if index else Role.INPUT for index, name in enumerate(shapes)}
        last = f"W{len(windows)}"
        shapes[last], roles[last] = (self.n_outputs, channels[-1]), Role.OUTPUT
        fields = {"layout": Layout(shapes), "roles": roles, "windows": windows, "sides": sides}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def last_fan_in(self) -> int:
        """Channels of the last block: the h in √h·α."""
        return self.widths[-1]

    @property
    def layers(self) -> list[LayerShape]:
        shapes = list(self.layout.shapes.values())
        convolutions = [
            LayerShape(math.prod(shape[1:]), shape[0], side**2)
            for shape, side in zip(shapes[:-1], self.sides[1:], strict=True)
        ]
        return [*convolutions, LayerShape(self.last_fan_in, self.n_outputs)]

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation and an activation for each hidden unit, and the largest image as all patches."""
        patches = max(layer.fan_in * layer.positions for layer in self.layers)
        return 2 * sum(layer.fan_out * layer.positions for layer in self.layers) + patches

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (E, P·n_outputs), and the layers that led to it; constant factors go to the weights."""
        taps: list[Tap] = []
        inputs, factor = x.unflatten(-1, self.image_shape), 1.0
        *filters, last = self.layout.shapes
        for name, window in zip(filters, self.windows, strict=True):
            scale = factor * self.gain(name) / math.sqrt(math.prod(self.layout.shapes[name][1:]))
            z = convolve(inputs, params[name] * scale, window)
            taps.append(Tap(name, inputs, z, scale, window))
            inputs, factor = self.activation.shape(z), self.activation.factor
        scale, inputs = factor * self.gain(last) / math.sqrt(self.last_fan_in), inputs.mean(dim=(-2, -1))
        z = torch.matmul(inputs, (params[last] * scale).mT)
        return z.flatten(1), [*taps, Tap(last, inputs, z, scale)]


def convolve(images: Tensor, filters: Tensor, window: Window) -> Tensor:
    """Images (P, C, H, W) or (E, P, C, H, W) with each member's filters (E, C', C, s, s): (E, P, C', H', W')."""
    own = images.dim() == 5
    return torch.stack(
        [
            torch.nn.functional.conv2d(images[e] if own else images, filters[e], None, window.stride, window.padding)
            for e in range(len(filters))
        ]
    )
