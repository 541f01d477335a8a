"""What every network offers: initial weights, a pure forward function, and taps for exact kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypedDict, runtime_checkable

from feature_lazy.core.streams import stream
from feature_lazy.networks.activations import Scaled, scaled
from feature_lazy.networks.geometry import Rectangle, Window
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.limits.infinite import InfiniteKernels
    from feature_lazy.settings.config import Config


@dataclass(frozen=True)
class LayerShape:
    """A layer z = scale · W u, done at every one of its positions with the same W.

    Attributes:
        fan_in: entries of u: of the input of a dense layer, of the window of a convolution.
        fan_out: entries of z at one position.
        positions: 1 for a dense layer.
    """

    fan_in: int
    fan_out: int
    positions: int = 1

    @property
    def flops(self) -> float:
        """Floating point operations of a forward pass, per pattern."""
        return 2.0 * self.fan_in * self.fan_out * self.positions


def dense_layers(layout: Layout) -> list[LayerShape]:
    """The layers of weights that are all matrices, (fan-out, fan-in), each used at one place."""
    return [LayerShape(fan_in, fan_out) for fan_out, fan_in in layout.shapes.values()]


@dataclass(frozen=True)
class Tap:
    """One weight's part in a network, z = scale · W u at each position, as the exact kernel needs it.

    Attributes:
        name: the weight's name in ``Params``.
        inputs: u of a dense layer, (P, fan-in), or images that a convolution's window moves over, (P, C, H, W); with a
            leading axis M where members have their own. A bias is a weight of fan-in 1 that sees ones, (P, 1).
        preactivations: z, shape (M, P, fan-out) or (M, P, fan-out, H', W'), part of the graph that ends in the output.
        scale: 1/√fan-in of the NTK parametrisation, times any constant factor taken out of the inputs.
        window: of a convolution.
        added: what is added to z at each place, in their order, each (M, P, fan-out): where ∂f/∂z is read if the graph
            of z does not show all of it, because z at one place follows from z at another. See ``networks.places``.
    """

    name: str
    inputs: Tensor
    preactivations: Tensor
    scale: float
    window: Window | Rectangle | None = None
    added: Sequence[Tensor] = ()


@runtime_checkable
class Network(Protocol):
    """A network f(w, x) with C real outputs, evaluated for M members at once."""

    @property
    def layout(self) -> Layout:
        """Names and shapes of one member's weights."""
        ...

    @property
    def n_outputs(self) -> int:
        """Number C of outputs."""
        ...

    @property
    def last_fan_in(self) -> int:
        """Fan-in of the output layer: the h in √h·α."""
        ...

    @property
    def activations_per_pattern(self) -> int:
        """Numbers that a forward pass keeps per pattern and member; decides the size of chunks."""
        ...

    @property
    def forward_flops(self) -> float:
        """Floating point operations of the products in a forward pass, per pattern."""
        ...

    @property
    def signal_flops(self) -> float:
        """The same for back-propagation to all preactivations, without the gradients of the weights."""
        ...

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x) for patterns x (P, d): shape (M, P·C), the outputs of a pattern side by side."""
        ...


class Initialised(Network, Protocol):
    """A network that knows how its weights begin."""

    def init(self, seed: int) -> dict[str, Tensor]:
        """Initial weights of one member, without member axis, float64; they depend on the seed alone."""
        ...


@runtime_checkable
class Layered(Network, Protocol):
    """A network that shows its layers, so that its exact kernel needs no Jacobian."""

    @property
    def layers(self) -> Sequence[LayerShape]:
        """Shape of the layer behind each weight, in the order of the layout."""
        ...

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) as ``apply`` gives it, and one tap for each weight, in the order of the layout."""
        ...


@runtime_checkable
class Tapped(Network, Protocol):
    """A network that may show some of its layers, as far as they are found by looking at it."""

    @property
    def shown(self) -> Mapping[str, LayerShape]:
        """Shape of the layer behind each weight that it shows, over all places where that acts; empty: none."""
        ...

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) as ``apply`` gives it, and one tap for each weight that it shows, in any order."""
        ...


@runtime_checkable
class Implicit(Protocol):
    """A network whose outputs a solver finds: NaN where there is nothing to find."""

    @property
    def implicit(self) -> bool:
        """Whether it is one as it is set here."""
        ...


@runtime_checkable
class HasMetric(Protocol):
    """A network that sees patterns through a quadratic form."""

    def metric(self, params: Params) -> Tensor:
        """M of weights of members, (M, d, d): what of x − x′ it sees, (x − x′)ᵀM(x − x′)."""
        ...


@runtime_checkable
class HasLimit(Protocol):
    """A network whose kernels of infinite width are known."""

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        """Θ∞ and Σ∞ between patterns x1 (P1, d) and x2 (P2, d), of one output, in the NTK parametrisation.

        Raises:
            NumericalError: an activation whose kernel is not to be had.
        """
        ...


class GaussianNetwork(ABC):
    """What networks of known layers share: the work of their passes, and how weights are scaled and begin.

    Attributes:
        layout: names and shapes of the weights; W… are weights, B… biases.
        roles: of weights and of biases of hidden units; a bias of the output has none, because it knows no width.
        parametrisation: how weights are scaled with the width.
        n_outputs: C.
        bias_std: standard deviation with which biases begin.
    """

    layout: Layout
    roles: Mapping[str, Role]
    parametrisation: Exponents = NTK
    n_outputs: int = 1
    bias_std: float = 0.0

    @property
    @abstractmethod
    def last_fan_in(self) -> int:
        """See ``Network.last_fan_in``."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[LayerShape]:
        """See ``Layered.layers``."""

    @property
    @abstractmethod
    def activations_per_pattern(self) -> int:
        """See ``Network.activations_per_pattern``."""

    @abstractmethod
    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """See ``Layered.taps``."""

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x) for flat patterns x (P, d) or (M, P, d), as ``Network.apply`` gives it."""
        return self.taps(params, x)[0]

    @property
    def forward_flops(self) -> float:
        """2 Σ positions · fan-in · fan-out."""
        return sum(layer.flops for layer in self.layers)

    @property
    def signal_flops(self) -> float:
        """A forward pass without the first layer, whose inputs need no gradient."""
        return self.forward_flops - self.layers[0].flops

    def gain(self, name: str) -> float:
        """Factor of a weight over 1/√fan-in, or of a bias over b: 1 in the NTK parametrisation."""
        role = self.roles.get(name)
        return 1.0 if role is None else self.parametrisation.gain(role, self.last_fan_in)

    def init(self, seed: int) -> dict[str, Tensor]:
        """Every weight W… normal in float64, N(0, 1) for NTK, from the seed's own stream; a bias B… with bias_std."""
        import torch

        return {
            name: self._begin(name, shape, seed)
            if self.bias_std or not name.startswith("B")
            else torch.zeros(shape, dtype=torch.float64)
            for name, shape in self.layout.shapes.items()
        }

    def _begin(self, name: str, shape: tuple[int, ...], seed: int) -> Tensor:
        import torch

        # A bias of the output has no role: it knows no width.
        std = self.parametrisation.std(self.roles[name], self.last_fan_in) if name in self.roles else 1.0
        if name.startswith("B"):
            std *= self.bias_std
        return torch.from_numpy(std * stream(seed, "initialisation", name).standard_normal(shape))


class Shared(TypedDict):
    """What a configuration says to every network of known layers."""

    activation: Scaled
    parametrisation: Exponents
    n_outputs: int


def shared(config: Config, data: Dataset) -> Shared:
    """φ, the parametrisation and the number of outputs, for data that are there."""
    return {
        "activation": scaled(config.activation),
        "parametrisation": config.parametrisation.exponents,
        "n_outputs": data.n_outputs,
    }
