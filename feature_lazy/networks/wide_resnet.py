"""The wide residual network of the article (App. A, Fig. 8)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, shared
from feature_lazy.networks.convolutional import ImageArchitecture
from feature_lazy.networks.geometry import ImageShape, Window, convolve, sides
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.limits.fields import Field, Images
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config
    from feature_lazy.settings.scales import Width


FIRST, STAGES = 16, 3
"""Channels of the first convolution; stage s = 0, 1, 2 has 16·2^s·h."""
MIX = math.sqrt(0.5)
"""cos 45° and sin 45°: what is mixed keeps its variance."""
BIAS = 1.0
"""Factor of the biases of convolutions."""
STAYS_RANDOM = (
    f"the first convolution has {FIRST} channels at every width, so that the kernel stays random; use "
    "architecture.stem_grows=true"
)


@option("architecture", "wide_resnet")
class WideResnetOption(ImageArchitecture):
    """The wide residual network of App. A; width.h is its widening factor, and h in √h·α is 64 times that."""

    depth: int = key(28, "6n + 4 convolutions; 28 in the article", ge=10)
    stem_grows: bool = key(
        False, "the first convolution has 16h channels and not 16; then the kernel has a limit", later=True
    )

    one_width = True
    check_widths = (2, 4, 8)

    @property
    def hidden_layers(self) -> int:
        return self.depth

    @property
    def no_limit(self) -> str:
        return "" if self.stem_grows else STAYS_RANDOM

    def last_fan_in(self, width: Width) -> int:
        return FIRST * 2 ** (STAGES - 1) * super().last_fan_in(width)

    def problems(self, config: Config) -> Iterator[str]:
        if self.depth % 6 != 4:
            yield f"architecture.depth={self.depth}: a wide ResNet has 6n + 4 = 10, 16, 22, 28, … convolutions."
        yield from super().problems(config)

    def check_image(self, shape: ImageShape) -> None:
        sides(shape, [Window(3, 1, 1)])

    def build(self, config: Config, data: Dataset) -> WideResnet:
        keys = {"depth": self.depth, "stem_grows": self.stem_grows}
        return WideResnet(self.image_shape(config, data), config.width.h, **keys, **shared(config, data))

    @classmethod
    def smallest(cls) -> list[str]:
        return ["architecture.depth=10", "width.h=1"]


@dataclass(frozen=True)
class Convolution:
    """One convolution of the network.

    Attributes:
        index: of its weight W… and bias B….
        fan_in: channels of its input.
        channels: of its output.
        window: what it sees.
        side: of its output.
    """

    index: int
    fan_in: int
    channels: int
    window: Window
    side: int


@dataclass(frozen=True)
class Block:
    """x ← cos 45°·shortcut(x) + sin 45°·second(φ(first(φ(x)))); without a shortcut of its own, x itself."""

    shortcut: Convolution | None
    first: Convolution
    second: Convolution


@dataclass(frozen=True)
class WideResnet(GaussianNetwork):
    """Wide ResNet depth-h (Zagoruyko & Komodakis 2016) without batch normalisation (App. A).

    A convolution of 16 channels; three stages of (depth − 4)/6 blocks with 16h, 32h and 64h channels, where the first
    block of the second and third halves the image in its second convolution; φ; the spatial mean; a dense layer without
    bias. Filters are 3 × 3, those of shortcuts 1 × 1. Every weight begins as N(0, 1), every bias as 0.

    Attributes:
        image_shape: (C, H, W) of a pattern, which is flat everywhere else; H = W.
        widening: h, 1 in the article.
        activation: φ with E φ² = 1.
        depth: 6n + 4, 28 in the article: its convolutions.
        parametrisation: how weights are scaled with the width; the first convolution is fixed.
        n_outputs: of the dense layer.
        stem_grows: whether the first convolution has 16h channels, as the others; else 16 at every width.
    """

    image_shape: ImageShape
    widening: int
    activation: Scaled
    depth: int = 28
    parametrisation: Exponents = NTK
    n_outputs: int = 1
    stem_grows: bool = False
    stem: Convolution = field(init=False)
    blocks: list[Block] = field(init=False)
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the filters W… with their biases B…, in the order in which they are used, and the dense layer.

        Raises:
            ConfigError: a depth that is not 6n + 4, or images that are not square or smaller than a filter.
        """
        if self.depth < 10 or self.depth % 6 != 4:
            raise ConfigError(f"architecture.depth={self.depth}: a wide ResNet has 6n + 4 = 10, 16, 22, 28, … layers.")
        window = Window(3, 1, 1)
        channels = FIRST * (self.widening if self.stem_grows else 1)
        stem = Convolution(0, self.image_shape[0], channels, window, sides(self.image_shape, [window])[1])
        blocks = list(_blocks(stem, self.widening, (self.depth - 4) // 6))
        object.__setattr__(self, "stem", stem)
        object.__setattr__(self, "blocks", blocks)
        shapes: dict[str, tuple[int, ...]] = {}
        roles: dict[str, Role] = {}
        for conv in self.convolutions:
            on_stem = conv in (blocks[0].first, blocks[0].shortcut)
            first = Role.INPUT if self.stem_grows else Role.FIXED
            role = first if conv is stem else Role.INPUT if on_stem and not self.stem_grows else Role.HIDDEN
            shapes[f"W{conv.index}"] = (conv.channels, conv.fan_in, conv.window.size, conv.window.size)
            shapes[f"B{conv.index}"] = (conv.channels, 1)
            roles |= {f"W{conv.index}": role, f"B{conv.index}": first if conv is stem else Role.INPUT}
        last = f"W{len(self.convolutions)}"
        shapes[last], roles[last] = (self.n_outputs, self.last_fan_in), Role.OUTPUT
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", roles)

    @property
    def convolutions(self) -> list[Convolution]:
        """All, each after those that it depends on and before those that depend on it alone."""
        chains = [[*([b.shortcut] if b.shortcut else []), b.first, b.second] for b in self.blocks]
        return [self.stem, *(conv for chain in chains for conv in chain)]

    @property
    def last_fan_in(self) -> int:
        """64h: the h in √h·α."""
        return FIRST * 2 ** (STAGES - 1) * self.widening

    @property
    def layers(self) -> Sequence[LayerShape]:
        found = []
        for conv in self.convolutions:
            fan_in = conv.fan_in * conv.window.size**2
            found += [LayerShape(fan_in, conv.channels, conv.side**2), LayerShape(1, conv.channels, conv.side**2)]
        return [*found, LayerShape(self.last_fan_in, self.n_outputs)]

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation, its share of the mix and an activation for each unit, and the largest image's patches."""
        patches = max(layer.fan_in * layer.positions for layer in self.layers)
        return 3 * sum(conv.channels * conv.side**2 for conv in self.convolutions) + patches

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``; every number of channels → ∞.

        Raises:
            NumericalError: the first convolution has 16 channels at every width.
        """
        from feature_lazy.networks.limits.fields import image_kernels

        if not self.stem_grows:
            raise NumericalError(f"{STAYS_RANDOM}.")

        def through(images: Images) -> Field:
            stream = images.seen_by(self.stem.window, BIAS)
            for block in self.blocks:
                straight = stream.convolved(block.shortcut.window, BIAS) if block.shortcut else stream
                inner = stream.activated().convolved(block.first.window, BIAS)
                stream = straight.mixed(inner.activated().convolved(block.second.window, BIAS), MIX**2)
            return stream.activated().averaged()

        return image_kernels(through, self.activation, self.image_shape, self.stem.side**2, x1, x2)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·n_outputs), and the layers that led to it; constant factors go to the weights."""
        taps: list[Tap] = []
        ones = x.new_ones(x.shape[-2], 1)

        def through(conv: Convolution, inputs: Tensor, factor: float) -> Tensor:
            weight, bias = f"W{conv.index}", f"B{conv.index}"
            scale = factor * self.gain(weight) / math.sqrt(conv.fan_in * conv.window.size**2)
            b = BIAS * self.gain(bias)
            z = convolve(inputs, params[weight] * scale, conv.window) + b * params[bias][:, None, :, :, None]
            taps.extend([Tap(weight, inputs, z, scale, conv.window), Tap(bias, ones, z, b)])
            return z

        phi, a = self.activation.shape, self.activation.factor
        stream = through(self.stem, x.unflatten(-1, self.image_shape), 1.0)
        for block in self.blocks:
            straight = through(block.shortcut, stream, 1.0) if block.shortcut else stream
            inner = through(block.first, phi(stream), a)
            stream = MIX * straight + MIX * through(block.second, phi(inner), a)
        last, inputs = f"W{len(self.convolutions)}", phi(stream).mean(dim=(-2, -1))
        scale = a * self.gain(last) / math.sqrt(self.last_fan_in)
        z = inputs @ (params[last] * scale).mT
        return z.flatten(1), [*taps, Tap(last, inputs, z, scale)]


def _blocks(stem: Convolution, widening: int, per_stage: int) -> Iterator[Block]:
    used, before, side = 1, stem.channels, stem.side
    for stage in range(STAGES):
        channels = FIRST * 2**stage * widening
        for number in range(per_stage):
            stride = 2 if stage and not number else 1
            small, shortcut = Window(3, stride, 1).positions(side), None
            if stride > 1 or before != channels:
                shortcut, used = Convolution(used, before, channels, Window(1, stride), small), used + 1
            first = Convolution(used, before, channels, Window(3, 1, 1), side)
            second = Convolution(used + 1, channels, channels, Window(3, stride, 1), small)
            yield Block(shortcut, first, second)
            used, before, side = used + 2, channels, small
