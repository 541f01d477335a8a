"""A user's own network, made anew from each seed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.networks.functional import Apply, check_weights, of_module
from feature_lazy.networks.generic import Generic

Init = Callable[[int], Mapping[str, Tensor]]
"""init(seed) → initial weights of one network, by name."""


@dataclass(frozen=True)
class Custom(Generic):
    """A network that a factory makes, with initial weights for every seed; otherwise as ``Generic``.

    Attributes:
        begin: initial weights from a seed.
    """

    begin: Init = lambda seed: {}

    def init(self, seed: int) -> dict[str, Tensor]:
        """See ``Initialised.init``.

        Raises:
            ConfigError: names or shapes that depend on the seed, or what are no weights.
        """
        weights = {name: weight.double().cpu() for name, weight in check_weights(self.begin(seed)).items()}
        if {name: tuple(weight.shape) for name, weight in weights.items()} != dict(self.layout.shapes):
            raise ConfigError(f"the network of seed {seed} has other weights than that of seed 0, by name or shape.")
        return weights

    @classmethod
    def made_by(cls, factory: Callable[[], Any], x: Tensor, *, last_fan_in: int = 1) -> "Custom":
        """The network of a factory, with the dtype and the device of patterns x (P, …).

        Args:
            factory: returns a module, whose initial weights PyTorch's random numbers decide, or a pair of pure
                functions: init(seed) → weights by name, and apply(weights, patterns (P, …)) → (P,).
            x: patterns to look at the network with.
            last_fan_in: h in √h·α.

        Raises:
            ConfigError: the factory makes something else, or a network that is no pure function of weights and pattern.
        """
        made = _seeded(factory, 0)
        if isinstance(made, nn.Module):
            function, begin = _module(factory, made, x)
        elif isinstance(made, tuple) and len(made) == 2 and all(callable(part) for part in made):
            begin, function = made
        else:
            raise ConfigError(
                f"the target returns {type(made).__name__}; it must return a torch.nn.Module, or a pair of functions "
                "(init, apply)."
            )
        weights = {name: weight.to(x) for name, weight in check_weights(begin(0)).items()}
        plain = Generic.around(function, weights, x, last_fan_in=last_fan_in)
        return cls(**{f.name: getattr(plain, f.name) for f in fields(plain)}, begin=begin)


def _seeded(factory: Callable[[], Any], seed: int) -> Any:
    """What the factory makes when PyTorch's random numbers follow from a seed; they go on as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "initialisation", "custom").integers(2**63)))
        return factory()


def _module(factory: Callable[[], Any], module: nn.Module, x: Tensor) -> tuple[Apply, Init]:
    """A module as a function, and its initial weights from a seed."""
    fixed = _fixed(module)
    function, _ = of_module(module, x)

    def begin(seed: int) -> Mapping[str, Tensor]:
        other = _seeded(factory, seed)
        for name, value in _fixed(other).items():
            if name not in fixed or not torch.equal(value, fixed[name]):
                raise ConfigError(
                    f"{name!r} of the network is no trainable weight and depends on the seed, and all members share "
                    "one: make it a trainable parameter, or draw it from a seed of its own."
                )
        return of_module(other)[1]

    return function, begin


def _fixed(module: nn.Module) -> dict[str, Tensor]:
    """Buffers and frozen parameters, as they are."""
    frozen = {name: p for name, p in module.named_parameters() if not p.requires_grad}
    return {name: value.detach().clone() for name, value in {**dict(module.named_buffers()), **frozen}.items()}
