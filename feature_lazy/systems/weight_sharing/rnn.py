"""Option ``architecture=rnn``: a recurrent network, and its kernels of infinite width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, shared
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role
from feature_lazy.networks.sequences import SequenceArchitecture, Tokens
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config

READOUTS = ("last", "mean")


@option("architecture", "rnn")
class RnnOption(SequenceArchitecture):
    """A recurrent network, h_t = σ_w·Wφ(h_{t−1})/√n + σ_u·Ux_t/√d + σ_b·b, f = σ_v·Vφ(h)/√n (arXiv:1902.04760)."""

    readout: str = key("last", "what the output reads: the last state, or the mean over all, last | mean")
    sigma_w: float = key(1.0, "σ_w, of the weight between states", ge=0)
    sigma_u: float = key(1.0, "σ_u, of the weight of tokens", gt=0)
    sigma_v: float = key(1.0, "σ_v, of the output", gt=0)
    sigma_b: float = key(0.0, "σ_b, of biases, which begin as N(0, 1); 0: there are none", ge=0)

    one_width = True
    check_widths = (64, 128, 256, 512, 1024)

    @property
    def hidden_layers(self) -> int:
        return 1

    @property
    def no_limit(self) -> str:
        return ""

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.readout not in READOUTS:
            yield (
                f"architecture.readout={self.readout}: must be last or mean, which are read by a weight of mean 0 that "
                "nothing else uses; of a readout without one, such as the mean of units, gradients are not independent "
                "of the weights that they meet, on which the limit rests (arXiv:2006.14548)."
            )

    def build(self, config: Config, data: Dataset) -> Recurrent:
        sigmas = (self.sigma_w, self.sigma_u, self.sigma_v, self.sigma_b)
        mean = self.readout == "mean"
        return Recurrent(self.tokens_of(data), config.h, sigmas=sigmas, mean=mean, **shared(config, data))

    @classmethod
    def smallest(cls) -> list[str]:
        return ["architecture.tokens=4", "architecture.sigma_b=0.5"]


@dataclass(frozen=True)
class Recurrent(GaussianNetwork):
    """h_t = σ_w·W¹s_{t−1}/√n + σ_u·W⁰x_t/√d + σ_b·B⁰, s_t = φ(h_t), s_0 = 0, f = σ_v·W²·s/√n, s = s_T or mean s_t.

    Every weight and bias begins as N(0, 1). With one token there is no W¹.

    Attributes:
        tokens: how patterns are read.
        width: n.
        activation: φ.
        sigmas: σ_w, σ_u, σ_v, σ_b.
        mean: whether the output reads the mean over all states, and not the last.
        parametrisation: how weights are scaled with n.
        n_outputs: C.
        bias_std: standard deviation of biases at initialisation.
    """

    tokens: Tokens
    width: int
    activation: Scaled
    sigmas: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 0.0)
    mean: bool = False
    parametrisation: Exponents = NTK
    n_outputs: int = 1
    bias_std: float = 1.0
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        n = self.width
        shapes: dict[str, tuple[int, ...]] = {"W0": (n, self.tokens.size)}
        roles = {"W0": Role.INPUT}
        if self.sigmas[3]:
            shapes["B0"], roles["B0"] = (n, 1), Role.INPUT
        if self.tokens.number > 1:
            shapes["W1"], roles["W1"] = (n, n), Role.HIDDEN
        shapes["W2"], roles["W2"] = (self.n_outputs, n), Role.OUTPUT
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", roles)

    @property
    def last_fan_in(self) -> int:
        """Units of a state: the h in √h·α."""
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        times = {"W0": self.tokens.number, "B0": self.tokens.number, "W1": self.tokens.number - 1, "W2": 1}
        return [LayerShape(shape[1], shape[0], times[name]) for name, shape in self.layout.shapes.items()]

    @property
    def activations_per_pattern(self) -> int:
        """What tokens inject, a preactivation, what is added to it and a state for each unit and time."""
        return 4 * self.tokens.number * self.width + self.n_outputs

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``."""
        from feature_lazy.networks.limits.recurrent import Recurrence

        return Recurrence(self.tokens, self.activation, self.sigmas, self.mean).kernels(x1, x2)

    def scale(self, name: str) -> float:
        """Of a weight in what it makes, σ/√fan-in, or of the bias."""
        w, u, v, b = self.sigmas
        sigma = {"W0": u, "W1": w, "W2": v, "B0": b}[name]
        return sigma * self.gain(name) / math.sqrt(self.layout.shapes[name][-1])

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and its weights, each over all times: their signals are read at added zeros."""
        import torch

        from feature_lazy.networks.places import marked, tap_over

        tokens = self.tokens.of(x)
        injected = tokens @ (params["W0"] * self.scale("W0")).mT[:, None]
        if "B0" in params:
            injected = injected + self.scale("B0") * params["B0"][:, None].mT
        z, zeros, states = [], [], []
        for t in range(self.tokens.number):
            before = injected[:, :, t]
            if t:
                before = before + states[-1] @ (params["W1"] * self.scale("W1")).mT
            here, zero = marked(before)
            z.append(here)
            zeros.append(zero)
            states.append(self.activation(z[-1]))
        taps = [tap_over("W0", tokens.unbind(-2), z, zeros, self.scale("W0"))]
        if "B0" in params:
            ones = [tokens.new_ones(x.shape[-2], 1)] * self.tokens.number
            taps.append(tap_over("B0", ones, z, zeros, self.scale("B0")))
        if "W1" in params:
            taps.append(tap_over("W1", states[:-1], z[1:], zeros[1:], self.scale("W1")))
        read = torch.stack(states).mean(0) if self.mean else states[-1]
        f = read @ (params["W2"] * self.scale("W2")).mT
        return f.flatten(1), [*taps, Tap("W2", read, f, self.scale("W2"))]
