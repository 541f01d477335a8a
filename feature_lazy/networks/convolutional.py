"""The convolutional network of the article (section 7)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, shared
from feature_lazy.networks.geometry import ImageShape, Window, article_sides, article_windows, convolve
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

PER_BLOCK = 2
"""Convolutions in a block of the article's network."""
DOT = "dot"
"""The product of a patch and a filter: what a convolution is."""

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.generalised import Generalised
    from feature_lazy.networks.limits.fields import Field, Images
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config


@dataclass
class ImageArchitecture(Architecture):
    """A network of convolutions, which asks for square images."""

    @abstractmethod
    def check_image(self, shape: ImageShape) -> None:
        """Refuse images that the network cannot take.

        Raises:
            ConfigError: such images.
        """

    def problems(self, config: Config) -> Iterator[str]:
        if (shape := config.dataset.shape) is not None:
            yield from self.image_problems(shape, config)

    def image_problems(self, shape: tuple[int, ...], config: Config) -> Iterator[str]:
        """What is wrong with patterns of this shape."""
        if len(shape) != 3:
            yield (
                f"architecture={self.kind}: it takes images, (channels, rows, columns), and with "
                f"{config.dataset.shaped_by} patterns have the shape {shape}; use another architecture or other data."
            )
            return
        try:
            self.check_image(shape)
        except ConfigError as error:
            yield f"architecture={self.kind} with dataset={config.dataset.kind}: {error}"

    def image_shape(self, config: Config, data: Dataset) -> ImageShape:
        """Shape of the images, of data that are there.

        Raises:
            ConfigError: patterns that are no images, or not such as the network takes.
        """
        shape = data.shape or (data.input_dim,)
        problems = list(self.image_problems(shape, config))
        if problems or len(shape) != 3:
            raise ConfigError("\n".join(problems))
        return shape


@option("architecture", "cnn")
class CnnOption(ImageArchitecture):
    """The convolutional network of section 7: blocks of two 5 × 5 convolutions, for images of 20 × 20 or more."""

    blocks: int = key(2, "of two convolutions each; block i has round(h·growth^i) channels", ge=1)
    window: int = key(5, "side of a filter, whose input is padded by 1; 3: for images of 8 × 8 too", ge=1, later=True)
    stride: int = key(2, "of the first convolution of a block; that of the second is 1", ge=1, later=True)
    operator: str = key(
        "dot",
        "how a patch meets a filter; l1 and l2: by a weighted distance, gaussian: by a kernel (arXiv:1707.09864)",
        choices=("dot", "l1", "l2", "gaussian"),
        later=True,
    )

    check_widths = (16, 32, 64, 128)

    @property
    def growing(self) -> int:
        return self.blocks

    @property
    def hidden_layers(self) -> int | None:
        return PER_BLOCK * self.blocks if self.operator == DOT else None

    @property
    def no_limit(self) -> str:
        return "" if self.operator == DOT else f"those of operator={self.operator} are not known; use operator={DOT}"

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.operator != DOT and config.parametrisation.exponents is not NTK:
            yield (
                f"parametrisation={config.parametrisation.kind}: architecture.operator={self.operator} is scaled as "
                "ntk alone; use ntk."
            )

    def check_image(self, shape: ImageShape) -> None:
        article_sides(shape, self.blocks, size=self.window, stride=self.stride)

    def build(self, config: Config, data: Dataset) -> Convolutional | Generalised:
        from feature_lazy.networks.generalised import Generalised

        keys = {"window": self.window, "stride": self.stride}
        widths = config.width.of(self.growing)
        plain = Convolutional(self.image_shape(config, data), widths, **keys, **shared(config, data))
        return plain if self.operator == DOT else Generalised(plain, self.operator)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dataset=mnist5k"]


@dataclass(frozen=True)
class Convolutional(GaussianNetwork):
    """Blocks of convolutions with s × s filters, the first of stride 2, then the spatial mean and a dense layer.

    zˡ⁺¹ = Wˡ * xˡ/√(s² C), xˡ = φ(zˡ) with C channels, f = W·⟨x^L⟩/√C, ⟨⟩ the mean over positions; every weight
    ~ N(0, 1), no bias (section 7, where s = 5).

    Attributes:
        image_shape: (C, H, W) of a pattern, which is flat everywhere else; H = W, even.
        widths: channels of each block.
        activation: φ with E φ² = 1.
        per_block: convolutions in a block.
        parametrisation: how weights are scaled with the width.
        n_outputs: of the dense layer.
        window: s.
        stride: of the first convolution of a block.
    """

    image_shape: ImageShape
    widths: Sequence[int]
    activation: Scaled
    per_block: int = PER_BLOCK
    parametrisation: Exponents = NTK
    n_outputs: int = 1
    window: int = 5
    stride: int = 2
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)
    windows: list[Window] = field(init=False)
    sides: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the filters W0 … , each (C_out, C_in, s, s), and the dense layer, (n_outputs, C).

        Raises:
            ConfigError: images that are not square, have an odd side to be halved, or are too small for the network's
                depth.
        """
        chain = (len(self.widths), self.per_block, self.window, self.stride)
        sides, windows = article_sides(self.image_shape, *chain), article_windows(*chain)
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

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``; every number of channels → ∞."""
        from feature_lazy.networks.limits.fields import image_kernels

        def through(images: Images) -> Field:
            field = images.seen_by(self.windows[0])
            for window in self.windows[1:]:
                field = field.activated().convolved(window)
            return field.activated().averaged()

        return image_kernels(through, self.activation, self.image_shape, self.sides[1] ** 2, x1, x2)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·n_outputs), and the layers that led to it; constant factors go to the weights."""
        taps: list[Tap] = []
        inputs, factor = x.unflatten(-1, self.image_shape), 1.0
        *filters, last = self.layout.shapes
        for name, window in zip(filters, self.windows, strict=True):
            scale = factor * self.gain(name) / math.sqrt(math.prod(self.layout.shapes[name][1:]))
            z = convolve(inputs, params[name] * scale, window)
            taps.append(Tap(name, inputs, z, scale, window))
            inputs, factor = self.activation.shape(z), self.activation.factor
        scale, inputs = factor * self.gain(last) / math.sqrt(self.last_fan_in), inputs.mean(dim=(-2, -1))
        z = inputs @ (params[last] * scale).mT
        return z.flatten(1), [*taps, Tap(last, inputs, z, scale)]
