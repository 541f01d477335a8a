"""Option ``architecture=attention``: tokens that read each other, and their kernels of infinite width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feature_lazy.core.errors import NumericalError
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, shared
from feature_lazy.networks.geometry import Window
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Role
from feature_lazy.networks.sequences import SequenceArchitecture, Tokens
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config

PER_LAYER = 3
"""Weights of a layer: of its keys, and two after attention."""
RANDOM_SCORES = (
    "scores over √n are of order 1 and random at every width, so that the kernel stays random; use architecture.scale=n"
)


@option("architecture", "attention")
class AttentionOption(SequenceArchitecture):
    """Layers of attention: k = x·U/√n, z = LN(k + Ak), x ← LN(z + W₂φ(W₁z)), f of the mean token (arXiv:2006.14548)."""

    map: str = key("softmax", "from scores to A", choices=("softmax", "gaussian"))
    scale: str = key("n", "of scores k·k′; sqrt: over √n, where A stays random", choices=("n", "sqrt"))
    depth: int = key(1, "layers", ge=1)
    layernorm: bool = key(True, "layer norm after attention and after both weights")

    one_width = True

    @property
    def hidden_layers(self) -> int:
        return PER_LAYER * self.depth

    @property
    def no_limit(self) -> str:
        return "" if self.scale == "n" else RANDOM_SCORES

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if config.parametrisation.exponents is not NTK:
            yield (
                f"parametrisation={config.parametrisation.kind}: architecture=attention is known in the ntk "
                "parametrisation alone; use ntk."
            )

    def build(self, config: Config, data: Dataset) -> Attention:
        common = shared(config, data)
        return Attention(
            self.tokens_of(data),
            config.h,
            common["activation"],
            depth=self.depth,
            map=self.map,
            over_n=self.scale == "n",
            layernorm=self.layernorm,
            n_outputs=common["n_outputs"],
        )

    @classmethod
    def smallest(cls) -> list[str]:
        return ["architecture.tokens=4"]


@dataclass(frozen=True)
class Attention(GaussianNetwork):
    """Per layer k = W^{3l}x/√fan-in, z = LN(k + Ak), x ← LN(z + W^{3l+2}φ(W^{3l+1}z/√n)/√n); f = W·mean_t x_t/√n.

    A is made of scores k_t·k_r/n, the keys being their own queries and values. Every weight begins as N(0, 1).

    Attributes:
        tokens: how patterns are read.
        width: n.
        activation: φ.
        depth: layers.
        map: from scores to A, of ``networks.scores.MAPS``.
        over_n: whether scores are over n, and not over √n.
        layernorm: whether there is layer norm.
        n_outputs: C.
    """

    tokens: Tokens
    width: int
    activation: Scaled
    depth: int = 1
    map: str = "softmax"
    over_n: bool = True
    layernorm: bool = True
    n_outputs: int = 1
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        n, hidden = self.width, PER_LAYER * self.depth
        shapes = {f"W{i}": (n, n if i else self.tokens.size) for i in range(hidden)} | {
            f"W{hidden}": (self.n_outputs, n)
        }
        roles = [Role.INPUT, *[Role.HIDDEN] * (hidden - 1), Role.OUTPUT]
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", dict(zip(shapes, roles, strict=True)))

    @property
    def last_fan_in(self) -> int:
        """Units of a token: the h in √h·α."""
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        *hidden, last = self.layout.shapes.values()
        return [*(LayerShape(shape[1], shape[0], self.tokens.number) for shape in hidden), LayerShape(last[1], last[0])]

    @property
    def forward_flops(self) -> float:
        """With scores, and what tokens take of each other."""
        return super().forward_flops + 4.0 * self.depth * self.tokens.number**2 * self.width

    @property
    def activations_per_pattern(self) -> int:
        """Of each layer and token three preactivations, what norms, maps and sums keep of them, and scores."""
        return self.depth * self.tokens.number * (10 * self.width + 3 * self.tokens.number) + self.n_outputs

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``.

        Raises:
            NumericalError: scores over √n.
        """
        from feature_lazy.networks.limits.attention import AttentionLimit
        from feature_lazy.networks.scores import MAPS

        if not self.over_n:
            raise NumericalError(f"{RANDOM_SCORES}.")
        return AttentionLimit(self.tokens, self.activation, self.depth, MAPS[self.map], self.layernorm).kernels(x1, x2)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and its weights, each over all tokens."""
        from feature_lazy.networks.scores import MAPS, normed

        taps: list[Tap] = []

        def through(inputs: Tensor) -> Tensor:
            """The next weight on tokens (…, P, T, fan-in): (M, P, T, n)."""
            name = f"W{len(taps)}"
            scale = 1 / math.sqrt(inputs.shape[-1])
            z = (inputs @ (params[name] * scale).mT[:, None]).mT[..., None]
            taps.append(Tap(name, inputs.mT[..., None], z, scale, Window(1)))
            return z[..., 0].mT

        norm = normed if self.layernorm else lambda v: v
        tokens = self.tokens.of(x)
        for _ in range(self.depth):
            k = through(tokens)
            gram = k @ k.mT / (self.width if self.over_n else math.sqrt(self.width))
            z = norm(k + MAPS[self.map](gram) @ k)
            tokens = norm(z + through(self.activation(through(z))))
        last, read = f"W{len(taps)}", tokens.mean(2)
        scale = 1 / math.sqrt(self.width)
        f = read @ (params[last] * scale).mT
        return f.flatten(1), [*taps, Tap(last, read, f, scale)]
