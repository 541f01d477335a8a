"""The fully connected network of the article (eqs. 11–14)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError, NumericalError
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, dense_layers, shared
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config


@option("architecture", "fully_connected")
class FullyConnectedOption(Architecture):
    """The fully connected network of eqs. 11–14; bias=0.1 adds the biases of App. J."""

    depth: int = key(3, "L, hidden layers", ge=1)
    bias: float = key(0.0, "b of App. J, where it is 0.1; 0: no biases", ge=0)
    authors_output_bias: bool = key(False, "the output's bias as in the authors' code, √h·b")
    bias_std: float = key(0.0, "standard deviation with which biases Bˡ begin; 0 in App. J", ge=0, later=True)

    readout: str = key(
        "gaussian",
        "weights of the output; ones: all 1, and they stay: a committee of the last hidden units",
        choices=("gaussian", "ones"),
        later=True,
    )
    lora: int = key(
        0, "r of W + BA in hidden layers, whose W stays (arXiv:2106.09685); 0: W itself is trained", ge=0, later=True
    )

    adapters = ("lora",)
    check_widths = (64, 128, 256, 512, 1024)

    @property
    def growing(self) -> int:
        return self.depth

    @property
    def hidden_layers(self) -> int:
        return self.depth

    @property
    def no_limit(self) -> str:
        if self.bias and self.authors_output_bias:
            return "the authors' bias of the output makes the kernel grow with h; use authors_output_bias=false"
        if self.lora:
            return "Θ∞ of W + BA is not known here"
        return "" if self.readout == "gaussian" else "Θ∞ of a network whose output layer stays is not known here"

    @property
    def bias_variance(self) -> float:
        return (self.bias * self.bias_std) ** 2

    def problems(self, config: Config) -> Iterator[str]:
        if self.lora and self.bias:
            yield f"architecture.lora={self.lora}: W + BA is of networks without biases; set architecture.bias=0."
        if self.bias_std and not self.bias:
            yield f"architecture.bias_std={self.bias_std}: there are no biases; set architecture.bias."
        if self.readout == "ones" and config.labels.several:
            yield (
                f"architecture.readout=ones: with labels={config.labels.kind} all outputs would be the same; use "
                "labels with one output."
            )
        if self.readout == "ones" and config.seed.kind == "from_run" and getattr(config.seed, "head", "keep") != "keep":
            yield "architecture.readout=ones: the output's weights stay, so there is no other head; use seed.head=keep."

    def build(self, config: Config, data: Dataset) -> FullyConnected:
        return FullyConnected(
            data.input_dim,
            config.width.of(self.growing),
            bias=self.bias,
            authors_output_bias=self.authors_output_bias,
            bias_std=self.bias_std,
            readout=self.readout,
            lora=self.lora,
            **shared(config, data),
        )


@dataclass(frozen=True)
class FullyConnected(GaussianNetwork):
    """z¹ = W⁰x/√d, xˡ = φ(zˡ), zˡ⁺¹ = Wˡxˡ/√h + b·Bˡ, f = W^L x^L/√h + b·B^L (eqs. 11–14; the biases are App. J's).

    Every weight begins as N(0, 1), every bias as 0, or N(0, bias_std²); other parametrisations scale both. With C
    outputs W^L has C rows. With ``lora`` hidden layers have Wˡ + BˡAˡ in place of Wˡ, which stays: A (r, fan-in) begins
    as N(0, 1/r), B (fan-out, r) as 0, so that Θ at the start has ⟨Ax, Ax′⟩ in place of ⟨x, x′⟩, whose mean over A it is
    (Tomihari and Sato 2024, arXiv:2405.16747).

    Attributes:
        input_dim: d, entries of one pattern.
        widths: width of each hidden layer; its length is the depth L ≥ 1.
        activation: φ with E φ² = 1.
        bias: b, 0.1 in App. J; without it there are no biases.
        authors_output_bias: the output's bias as in the authors' code, √h·b·B^L.
        parametrisation: how weights are scaled with h.
        n_outputs: C.
        bias_std: standard deviation of Bˡ at initialisation, 0 in App. J.
        readout: ``gaussian``, or ``ones``: W^L begins as 1, times its standard deviation, and is not trained.
        lora: r; 0: without B and A. There are no biases beside it.
    """

    input_dim: int
    widths: Sequence[int]
    activation: Scaled
    bias: float = 0.0
    authors_output_bias: bool = False
    parametrisation: Exponents = NTK
    n_outputs: int = 1
    bias_std: float = 0.0
    readout: str = "gaussian"
    lora: int = 0
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out the weights W0 … WL, (fan-out, fan-in), and after each its biases B0 … BL, (fan-out, 1), or A and B.

        Raises:
            ConfigError: both biases and A, B.
        """
        if self.bias and self.lora:
            raise ConfigError("lora: W + BA is of networks without biases.")
        sizes = [self.input_dim, *self.widths, self.n_outputs]
        last = len(self.widths)
        shapes: dict[str, tuple[int, ...]] = {}
        roles: dict[str, Role] = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            shapes[f"W{layer}"] = (fan_out, fan_in)
            roles[f"W{layer}"] = Role.OUTPUT if layer == last else Role.HIDDEN if layer else Role.INPUT
            if self.bias:
                shapes[f"B{layer}"] = (fan_out, 1)
                if layer < last:
                    roles[f"B{layer}"] = Role.INPUT
            if self.lora and layer < last:
                shapes |= {f"A{layer}": (self.lora, fan_in), f"B{layer}": (fan_out, self.lora)}
        fixed = {f"W{last}"} if self.readout == "ones" else set()
        fixed |= {f"W{layer}" for layer in range(last if self.lora else 0)}
        added = frozenset(name for name in shapes if self.lora and not name.startswith("W"))
        object.__setattr__(self, "layout", Layout(shapes, frozenset(fixed), added))
        object.__setattr__(self, "roles", roles)

    @property
    def last_fan_in(self) -> int:
        """Width of the last hidden layer: the h in √h·α."""
        return self.widths[-1]

    @property
    def layers(self) -> list[LayerShape]:
        return dense_layers(self.layout)

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation and an activation for each hidden unit, Ax of each hidden layer, and the outputs."""
        return 2 * sum(self.widths) + self.lora * len(self.widths) + self.n_outputs

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """See ``HasLimit``.

        Raises:
            NumericalError: the output's bias is that of the authors, whose part of the kernel is h·b², or some weights
                stay.
        """
        from feature_lazy.networks.limits.infinite import infinite_kernels

        if self.readout == "ones":
            raise NumericalError("readout=ones: Θ∞ of a network whose output layer stays is not known here.")
        if self.lora:
            raise NumericalError(f"lora={self.lora}: Θ∞ of W + BA is not known here.")
        if self.bias and self.authors_output_bias:
            raise NumericalError("the authors' bias of the output makes the kernel grow with h: it has no limit.")
        bias = {"bias": self.bias, "bias_std": self.bias_std}
        return infinite_kernels(self.activation, len(self.widths), x1, x2, **bias)

    def metric(self, params: Params) -> Tensor:
        """W⁰ᵀW⁰/h, (M, d, d), with W⁰ + B⁰A⁰ for W⁰ where there are such."""
        first = params["W0"]
        if self.lora:
            first = first + params["B0"] @ params["A0"]
        return first.mT @ first / first.shape[1]

    def init(self, seed: int) -> dict[str, Tensor]:
        found = super().init(seed)
        if self.readout == "ones":
            last = f"W{len(self.widths)}"
            std = self.parametrisation.std(self.roles[last], self.last_fan_in)
            found[last] = found[last].new_full(found[last].shape, std)
        return {name: w / math.sqrt(self.lora) if name.startswith("A") else w for name, w in found.items()}

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and the dense layers that led to it.

        All constant factors, 1/√fan-in and the activation's a, are applied to the weights and not to the P times
        larger activations: φ(z) = a·φ₀(z), and a travels on to the next layer's scale.
        """
        taps: list[Tap] = []
        inputs, factor = x, 1.0
        ones = x.new_ones(x.shape[-2], 1) if self.bias else x
        for layer in range(len(self.widths) + 1):
            weight = params[f"W{layer}"]
            scale = factor * self.gain(f"W{layer}") / math.sqrt(weight.shape[-1])
            z = inputs @ (weight * scale).mT
            if self.bias:
                b = self._bias_scale(layer)
                z = z + b * params[f"B{layer}"].mT
            if adapted := self.lora and layer < len(self.widths):
                low = inputs @ params[f"A{layer}"].mT
                z = z + low @ (params[f"B{layer}"] * scale).mT
            taps.append(Tap(f"W{layer}", inputs, z, scale))
            if adapted:
                taps += [Tap(f"A{layer}", inputs, low, 1.0), Tap(f"B{layer}", low, z, scale)]
            if self.bias:
                taps.append(Tap(f"B{layer}", ones, z, b))
            inputs, factor = self.activation.shape(z), self.activation.factor
        return z.flatten(1), taps

    def _bias_scale(self, layer: int) -> float:
        own = self.authors_output_bias and layer == len(self.widths)
        return self.bias * self.gain(f"B{layer}") * (math.sqrt(self.last_fan_in) if own else 1.0)
