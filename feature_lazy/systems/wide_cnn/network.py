"""Option ``architecture=patch_tree``: patches that are joined level by level, and its kernels of infinite width."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.data.rules import listed
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, shared
from feature_lazy.networks.geometry import Window
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role
from feature_lazy.networks.sequences import Tokens
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config


@option("architecture", "patch_tree")
class PatchTreeOption(Architecture):
    """A convolutional network without overlaps: patches that are joined level by level up to one (arXiv:2208.01003).

    A pattern is cut into as many patches as the joins' product, of numbers that lie side by side. A level has one
    weight for all of its places, and nothing is pooled.
    """

    joins: list[int] = key([2], "places that one of the next level sees, level by level above the patches", ge=2)

    one_width = True
    check_widths = (32, 64, 128, 256)

    @property
    def hidden_layers(self) -> int:
        return len(self.joins) + 1

    @property
    def no_limit(self) -> str:
        return ""

    def problems(self, config: Config) -> Iterator[str]:
        if (shape := config.dataset.shape) is not None:
            try:
                self.read(math.prod(shape))
            except ConfigError as error:
                yield f"{error} ({config.dataset.shaped_by})"

    def read(self, numbers: int) -> Tokens:
        """How patterns of so many numbers are cut.

        Raises:
            ConfigError: they cannot be.
        """
        patches = math.prod(self.joins)
        if numbers % patches:
            raise ConfigError(
                f"architecture.joins={listed(self.joins)}: patterns of {numbers} numbers are not cut into {patches} "
                "patches of one size; the product of the joins must be a divisor."
            )
        return Tokens(patches, numbers // patches)

    def build(self, config: Config, data: Dataset) -> PatchTree:
        return PatchTree(self.read(data.input_dim), self.joins, config.h, **shared(config, data))


@dataclass(frozen=True)
class PatchTree(GaussianNetwork):
    """z⁰_i = W⁰x_i/√s of each patch, zˡ_i = Wˡ(φ(zˡ⁻¹_{si}), …, φ(zˡ⁻¹_{si+s−1}))/√(s·h), f = Wφ(z)/√h of the last.

    Every weight begins as N(0, 1).

    Attributes:
        tokens: how a pattern is cut into patches.
        joins: s of each level above the patches.
        width: h, channels of every level.
        activation: φ.
        parametrisation: how weights are scaled with h.
        n_outputs: C.
    """

    tokens: Tokens
    joins: Sequence[int]
    width: int
    activation: Scaled
    parametrisation: Exponents = NTK
    n_outputs: int = 1
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        h = self.width
        shapes = {"W0": (h, self.tokens.size)} | {f"W{level + 1}": (h, s * h) for level, s in enumerate(self.joins)}
        roles = {name: Role.HIDDEN if level else Role.INPUT for level, name in enumerate(shapes)}
        last = f"W{len(shapes)}"
        shapes[last], roles[last] = (self.n_outputs, h), Role.OUTPUT
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", roles)

    @property
    def last_fan_in(self) -> int:
        """Channels of the last level: the h in √h·α."""
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        places = [self.tokens.number]
        for s in (*self.joins, 1):
            places.append(places[-1] // s)
        shapes = self.layout.shapes.values()
        return [LayerShape(fan_in, fan_out, n) for (fan_out, fan_in), n in zip(shapes, places, strict=True)]

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation and an activation for each channel at each place."""
        return 2 * sum(layer.fan_out * layer.positions for layer in self.layers)

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``."""
        from feature_lazy.systems.wide_cnn.limit import TreeLimit

        return TreeLimit(self.tokens, self.activation, self.joins).kernels(x1, x2)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and the weight of each level, over all of its places."""
        taps: list[Tap] = []
        inputs = self.tokens.of(x)
        *levels, last = self.layout.shapes
        for name, s in zip(levels, (*self.joins, 1), strict=True):
            scale = self.scale(name)
            # All places of all patterns at once: a product for each pattern would read the weight as many times.
            z = inputs.flatten(-3, -2) @ (params[name] * scale).mT
            z = z.unflatten(1, inputs.shape[-3:-1]).mT[..., None]
            taps.append(Tap(name, inputs.mT[..., None], z, scale, Window(1)))
            inputs = self.activation(z[..., 0].mT).unflatten(2, (-1, s)).flatten(3)
        read, scale = inputs[:, :, 0], self.scale(last)
        f = read @ (params[last] * scale).mT
        return f.flatten(1), [*taps, Tap(last, read, f, scale)]

    def scale(self, name: str) -> float:
        """Of a weight in what it makes, 1/√fan-in times the parametrisation's gain."""
        return self.gain(name) / math.sqrt(self.layout.shapes[name][1])
