"""The knobs that every sweep turns: the groups ``alpha``, ``width`` and ``seed``, their bases and their options."""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from feature_lazy.settings.groups import Option
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import find, option

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from feature_lazy.runs.batch import Batch
    from feature_lazy.settings.config import Config

Number = TypeVar("Number", float, "Tensor")


CROSSOVER = 10.0
"""√h·α near which the kernel change is 1 in the article (Fig. 5a) and here, for every width."""


def rescaled(alpha: Number, h: int) -> Number:
    """√h·α: the one place where it is computed; α = √h·α/√h is its inverse."""
    return alpha * math.sqrt(h)


@dataclass
class Alpha(Option):
    """Output scale, the knob between the regimes."""

    value: float = key(1.0, "α, or √h·α with alpha=rescaled", gt=0)

    axis = "alpha"
    """The column that ``value`` is."""

    @abstractmethod
    def alpha(self, h: int) -> float:
        """α in the article's units, for the fan-in h of the output layer."""

    @abstractmethod
    def sqrt_h_alpha(self, h: int) -> float:
        """√h·α, against which widths collapse (Fig. 3d); exactly what the user gave, if it was this."""


@dataclass
class Width(Option):
    """Width of the hidden layers."""

    h: int = key(100, "width of the first hidden layer", ge=1)

    uniform = True
    """Whether all layers have one width."""

    @abstractmethod
    def of(self, number: int) -> list[int]:
        """Widths of so many hidden layers, or blocks of convolutions."""


@dataclass
class Seed(Option):
    """Initialisation of the weights, and of nothing else."""

    @abstractmethod
    def seeds(self) -> list[int]:
        """Seeds of the networks that are trained together."""

    def each(self) -> "list[Seed]":
        """The option that each of these networks has by itself, in the same order: part of its identity."""
        return [find("seed", "single")(value=seed) for seed in self.seeds()]

    def begin(self, batch: "Batch", seed: int) -> "Mapping[str, Tensor]":
        """Initial weights by name, float64, of the one network that this option is for."""
        return batch.architecture.init(seed)

    def predictor(self) -> "list[tuple[float, dict[str, np.ndarray]]]":
        """F of a training before, with centred=parent: factors and weights of the networks whose sum it is."""
        return []


@option("alpha", "rescaled")
class RescaledAlpha(Alpha):
    """The value is √h·α, against which widths collapse (Fig. 3d); h is the fan-in of the output layer."""

    axis = "sqrt_h_alpha"

    def alpha(self, h: int) -> float:
        return self.value / rescaled(1.0, h)

    def sqrt_h_alpha(self, h: int) -> float:
        return self.value


@option("alpha", "raw")
class RawAlpha(Alpha):
    """The value is α itself."""

    value: float = key(0.1, "α", gt=0)

    def alpha(self, h: int) -> float:
        return self.value

    def sqrt_h_alpha(self, h: int) -> float:
        return rescaled(self.value, h)


@option("width", "uniform")
class UniformWidth(Width):
    """Every hidden layer has width h."""

    def of(self, number: int) -> list[int]:
        return [self.h] * number


@option("width", "geometric")
class GeometricWidth(Width):
    """Hidden layer l = 0, 1, … has width round(h·growth^l)."""

    growth: float = key(1.0, "growth from layer to layer", gt=0)

    uniform = False

    def of(self, number: int) -> list[int]:
        return [round(self.h * self.growth**index) for index in range(number)]

    def problems(self, config: "Config") -> Iterator[str]:
        network = config.architecture
        if network.one_width:
            yield f"width=geometric: architecture={network.kind} has one width; use width=uniform."
        elif self.of(network.growing)[-1] < 1:
            last = self.h * self.growth ** (network.growing - 1)
            yield f"width.growth={self.growth}: the last layer's width {last:.3g} rounds to 0."


@option("seed", "single")
class SingleSeed(Seed):
    """One network."""

    value: int = key(0, "seed of the initialisation", ge=0)

    def seeds(self) -> list[int]:
        return [self.value]


@option("seed", "ensemble")
class EnsembleSeed(Seed):
    """Networks with the seeds first, first + 1, …, trained together."""

    members: int = key(3, "number of networks", ge=1)
    first: int = key(0, "seed of the first network", ge=0)

    def seeds(self) -> list[int]:
        return list(range(self.first, self.first + self.members))
