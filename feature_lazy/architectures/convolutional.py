"""The convolutional network of the article (section 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from feature_lazy.activations import Activation
from feature_lazy.architectures.base import GaussianNetwork, LayerShape, Tap, Window
from feature_lazy.errors import ConfigError
from feature_lazy.params import Layout, Params

SIZE, PADDING = 5, 1
"""Of every filter."""


@dataclass(frozen=True)
class Convolutional(GaussianNetwork):
    """Blocks of convolutions with 5 × 5 filters, the first of stride 2, then the spatial mean and a dense layer.

    zˡ⁺¹ = Wˡ * xˡ/√(25 C), xˡ = φ(zˡ) with C channels, f = W·⟨x^L⟩/√C, ⟨⟩ the mean over positions; every weight
    ~ N(0, 1), no bias (section 7).

    Attributes:
        image_shape: (C, H, W) of a pattern, which is flat everywhere else; H = W.
        widths: channels of each block.
        activation: φ with E φ² = 1.
        per_block: convolutions in a block.
        n_outputs: of the dense layer.
    """

    image_shape: tuple[int, int, int]
    widths: Sequence[int]
    activation: Activation
    per_block: int = 2
    n_outputs: int = 1
    layout: Layout = field(init=False)
    windows: list[Window] = field(init=False)
    sides: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the filters W0 … , each (C_out, C_in, 5, 5), and the dense layer, (n_outputs, C).

        Raises:
            ConfigError: images that are not square, or too small for the network's depth.
        """
        channels, height, width = self.image_shape
        if height != width:
            raise ConfigError(f"images of {height} × {width} pixels: the convolutional network takes square ones.")
        convolutions = [channels, *(c for c in self.widths for _ in range(self.per_block))]
        shapes: dict[str, tuple[int, ...]] = {}
        windows, sides = [], [height]
        for layer, (before, after) in enumerate(pairwise(convolutions)):
            windows.append(Window(SIZE, 2 if layer % self.per_block == 0 else 1, PADDING))
            sides.append(windows[-1].positions(sides[-1]))
            if sides[-1] < 1:
                raise ConfigError(
                    f"images of {height} × {width} pixels have nothing left for convolution {layer + 1} of "
                    f"{len(convolutions) - 1}: use fewer blocks or larger images."
                )
            shapes[f"W{layer}"] = (after, before, SIZE, SIZE)
        shapes[f"W{len(windows)}"] = (self.n_outputs, convolutions[-1])
        for name, value in (("layout", Layout(shapes)), ("windows", windows), ("sides", sides)):
            object.__setattr__(self, name, value)

    @property
    def last_fan_in(self) -> int:
        """Channels of the last block: the h in √h·α."""
        return self.widths[-1]

    @property
    def layers(self) -> list[LayerShape]:
        """See ``Layered.layers``."""
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
            scale = factor / math.sqrt(math.prod(self.layout.shapes[name][1:]))
            z = convolve(inputs, params[name] * scale, window)
            taps.append(Tap(name, inputs, z, scale, window))
            inputs, factor = self.activation.shape(z), self.activation.factor
        scale, inputs = factor / math.sqrt(self.last_fan_in), inputs.mean(dim=(-2, -1))
        z = torch.matmul(inputs, (params[last] * scale).mT)
        return z.flatten(1), [*taps, Tap(last, inputs, z, scale)]

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x) for flat patterns x (P, d) or (E, P, d): shape (E, P·n_outputs)."""
        return self.taps(params, x)[0]


def convolve(images: Tensor, filters: Tensor, window: Window) -> Tensor:
    """Images (P, C, H, W) or (E, P, C, H, W) with each member's filters (E, C', C, s, s): (E, P, C', H', W')."""
    own = images.dim() == 5
    return torch.stack(
        [
            torch.nn.functional.conv2d(images[e] if own else images, filters[e], None, window.stride, window.padding)
            for e in range(len(filters))
        ]
    )
