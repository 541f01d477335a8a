"""What every network offers: initial weights, a pure forward function, and taps for exact kernels."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from feature_lazy.params import Layout, Params


@dataclass(frozen=True)
class DenseTap:
    """One dense layer z = scale · x Wᵀ, as the exact kernel needs it.

    Attributes:
        name: the weight's name in ``Params``.
        inputs: x, shape (P, fan-in) when shared by all members, else (E, P, fan-in).
        preactivations: z, shape (E, P, fan-out), part of the graph that ends in the output.
        scale: 1/√fan-in of the NTK parametrisation, times any constant factor taken out of the inputs.
    """

    name: str
    inputs: Tensor
    preactivations: Tensor
    scale: float


@runtime_checkable
class Architecture(Protocol):
    """A network f(w, x) with one real output, evaluated for E members at once."""

    @property
    def layout(self) -> Layout:
        """Names and shapes of one member's weights."""
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
        """f(w, x) for patterns x (P, d): shape (E, P)."""
        ...


class Initialised(Architecture, Protocol):
    """A network that knows how its weights begin."""

    def init(self, seed: int) -> dict[str, Tensor]:
        """Initial weights of one member, without member axis, float64; they depend on the seed alone."""
        ...


@runtime_checkable
class Layered(Architecture, Protocol):
    """A network that shows its dense layers, so that its exact kernel needs no Jacobian."""

    @property
    def kernel_flops(self) -> float:
        """The same for one entry Θ(x, x') from layer inputs and back-propagated signals."""
        ...

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[DenseTap]]:
        """f(w, x) as ``apply`` gives it, and one tap for each weight."""
        ...
