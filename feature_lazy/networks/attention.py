"""Option ``architecture=attention``: tokens that read each other, and their kernels of infinite width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError, NumericalError
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
    from feature_lazy.networks.scores import SoftmaxFree
    from feature_lazy.settings.config import Config

PER_LAYER = 3
"""Weights of a layer: of its keys, and two after attention."""
SOFT = "soft"
"""The map by landmarks."""
LANDMARKS = {"landmarks": 0, "newton": 0, "ridge": 0.01, "normalised": False}
"""Keys that other maps do not read, and their values there."""
SPARE = 2
"""Steps beyond those that are needed, after which what is left is below rounding."""
RANDOM_SCORES = (
    "scores over √n are of order 1 and random at every width, so that the kernel stays random; use architecture.scale=n"
)


@option("architecture", "attention")
class AttentionOption(SequenceArchitecture):
    """Layers of attention: k = x·U/√n, z = LN(k + Ak), x ← LN(z + W₂φ(W₁z)), f of the mean token (arXiv:2006.14548)."""

    map: str = key(
        "softmax",
        "from scores to A; soft: gaussian by landmarks, at a cost linear in tokens (arXiv:2110.11945)",
        choices=("softmax", "gaussian", SOFT),
    )
    scale: str = key("n", "of scores k·k′; sqrt: over √n, where A stays random", choices=("n", "sqrt"))
    depth: int = key(1, "layers", ge=1)
    layernorm: bool = key(True, "layer norm after attention and after both weights")
    landmarks: int = key(
        0, "of map=soft, means of consecutive tokens, whose number they divide; 0: all tokens", ge=0, later=True
    )
    newton: int = key(
        0, "steps to the inverse in map=soft, 20 in the paper; 0: as many as any landmarks need", ge=0, later=True
    )
    ridge: float = key(
        0.01, "on the diagonal of that; without it landmarks that are equal have no inverse", gt=0, later=True
    )
    normalised: bool = key(
        False, "whether that inverse is multiplied by D^{−½} on either side, D the row sums of landmarks", later=True
    )

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
        if self.map != SOFT:
            for name, unread in LANDMARKS.items():
                if getattr(self, name) != unread:
                    yield (
                        f"architecture.{name}={getattr(self, name)}: architecture.map={self.map} has no landmarks; "
                        f"use architecture.map={SOFT}."
                    )
        elif config.dataset.shape is not None:
            try:
                self.softmax_free(self.read(config.dataset.shape).number)
            except ConfigError as error:
                yield str(error)

    def softmax_free(self, tokens: int) -> SoftmaxFree:
        """The map ``soft`` of so many tokens.

        Raises:
            ConfigError: landmarks that do not divide them, or that may have an inverse which is farther away than the
                steps that are asked for.
        """
        from feature_lazy.networks.scores import SoftmaxFree, steps_needed

        m = self.landmarks or tokens
        if tokens % m:
            raise ConfigError(
                f"architecture.landmarks={m}: each is the mean of as many of {tokens} tokens; use a divisor of that."
            )
        needed = steps_needed(m, self.ridge)
        if 0 < self.newton < needed:
            raise ConfigError(
                f"architecture.newton={self.newton}: with architecture.ridge={self.ridge:g} the condition of {m} "
                f"landmarks may be {(m + self.ridge) / self.ridge:.0f}, for which {needed} steps are needed; use as "
                "many, 0, or a larger ridge."
            )
        return SoftmaxFree(m, self.newton or needed + SPARE, self.ridge, self.normalised)

    def build(self, config: Config, data: Dataset) -> Attention:
        common, tokens = shared(config, data), self.tokens_of(data)
        return Attention(
            tokens,
            config.h,
            common["activation"],
            depth=self.depth,
            map=self.softmax_free(tokens.number) if self.map == SOFT else self.map,
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
        map: from scores to A: a name of ``networks.scores.MAPS``, or by landmarks.
        over_n: whether scores are over n, and not over √n.
        layernorm: whether there is layer norm.
        n_outputs: C.
    """

    tokens: Tokens
    width: int
    activation: Scaled
    depth: int = 1
    map: str | SoftmaxFree = "softmax"
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
        whole = 4.0 * self.tokens.number**2 * self.width
        mapped = whole if isinstance(self.map, str) else self.map.flops(self.tokens.number, self.width)
        return super().forward_flops + self.depth * mapped

    @property
    def activations_per_pattern(self) -> int:
        """Of each layer and token three preactivations, what norms, maps and sums keep of them, and scores."""
        others = self.tokens.number if isinstance(self.map, str) else self.map.landmarks
        return self.depth * self.tokens.number * (10 * self.width + 3 * others) + self.n_outputs

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``.

        Raises:
            NumericalError: scores over √n.
        """
        from feature_lazy.networks.limits.attention import AttentionLimit
        from feature_lazy.networks.scores import MAPS

        if not self.over_n:
            raise NumericalError(f"{RANDOM_SCORES}.")
        scores = MAPS[self.map] if isinstance(self.map, str) else self.map
        return AttentionLimit(self.tokens, self.activation, self.depth, scores, self.layernorm).kernels(x1, x2)

    @property
    def scores_over(self) -> float:
        """What products of keys are divided by, to be scores."""
        return self.width if self.over_n else math.sqrt(self.width)

    def mixed(self, k: Tensor) -> Tensor:
        """Ak for keys (M, P, T, n), of the same shape."""
        from feature_lazy.networks.scores import MAPS

        if isinstance(self.map, str):
            return MAPS[self.map](k @ k.mT / self.scores_over) @ k
        return self.map.applied(k / math.sqrt(self.scores_over), k)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and its weights, each over all tokens."""
        from feature_lazy.networks.scores import normed

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
            z = norm(k + self.mixed(k))
            tokens = norm(z + through(self.activation(through(z))))
        last, read = f"W{len(taps)}", tokens.mean(2)
        scale = 1 / math.sqrt(self.width)
        f = read @ (params[last] * scale).mT
        return f.flatten(1), [*taps, Tap(last, read, f, scale)]
