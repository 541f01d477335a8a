"""Any network given as a function of named weights, or as a module of PyTorch."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.flop_counter import flop_registry

from feature_lazy.networks.base import LayerShape, Tap
from feature_lazy.networks.functional import (
    Apply,
    BytesMade,
    Watching,
    check_weights,
    count_outputs,
    slowly,
    under_vmap,
)
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.recognised import Recognised, recognised


class _Flops(Watching):
    """Counts flops of products, by PyTorch's formulas, and the numbers in the patches of the largest convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.total, self.patches = 0, 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and count it if it is a product."""
        made = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            flops = count(*args, **(kwargs or {}), out_val=made)
            self.total += flops
            if func._overloadpacket is torch.ops.aten.convolution:
                self.patches = max(self.patches, flops / 2 / made.shape[1])
        return made


@dataclass(frozen=True)
class Generic:
    """A network with C real outputs; the member axis comes from ``torch.func.vmap``.

    Attributes:
        function: the network, without member axis.
        layout: names and shapes of its weights.
        pattern_shape: shape of one pattern; patterns are flat everywhere else.
        last_fan_in: fan-in of the output layer, the h in √h·α: it sets what is tried first, and no result.
        forward_flops: of the products in a forward pass, per pattern; counted by ``around``.
        activations_per_pattern: numbers that a forward pass keeps per pattern; bounded by ``around``.
        n_outputs: C; found by ``around``.
        layers_found: those of its layers that ``around`` recognises.
    """

    function: Apply
    layout: Layout
    pattern_shape: tuple[int, ...]
    last_fan_in: int = 1
    forward_flops: float = field(default=1.0)
    activations_per_pattern: int = 1
    n_outputs: int = 1
    layers_found: Recognised = field(default_factory=Recognised)

    @property
    def signal_flops(self) -> float:
        """As for a forward pass; the layers are not known."""
        return self.forward_flops

    @classmethod
    def around(cls, function: Apply, weights: Mapping[str, Tensor], x: Tensor, *, last_fan_in: int = 1) -> "Generic":
        """Look at the network's work on a pattern of x (P, …), and count its outputs.

        Raises:
            ConfigError: a network that is no pure function of weights and one pattern, that has no derivative by its
                weights, or whose outputs are not real numbers, (P,) or (P, C).
            DataError: weights that are no arrays, or not finite.
        """
        weights, function = check_weights(weights), slowly(function)
        outputs = count_outputs(function, weights, x)
        layout = Layout({name: tuple(weight.shape) for name, weight in weights.items()})
        few = x[: min(2, len(x))]
        one_member = {name: weight[None] for name, weight in weights.items()}
        with torch.no_grad(), under_vmap(), _Flops() as counter:
            torch.func.vmap(lambda weights: function(weights, few))(one_member)
        flops = max(1.0, counter.total / len(few))
        found = recognised(function, weights, few, outputs)
        # PyTorch lays the patches of one convolution after the other out, which is nothing that is seen to be made.
        activations = math.ceil(_made(function, weights, few) + counter.patches / len(few)) + x[0].numel()
        return cls(function, layout, tuple(x.shape[1:]), last_fan_in, flops, activations, outputs, found)

    @property
    def shown(self) -> Mapping[str, LayerShape]:
        """See ``Tapped.shown``."""
        return self.layers_found.shapes

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """See ``Tapped.taps``."""
        zeros = self.layers_found.zeros(len(next(iter(params.values()))), x.shape[-2], next(iter(params.values())))

        def one(weights: Mapping[str, Tensor], zeros: list[Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
            return self.layers_found.watched(self.one, weights, zeros, x)

        f, inputs = _of_members(one, params, zeros, x)
        # What is the same for all members is expanded: it is there once.
        inputs = [u[0] if u.stride(0) == 0 or len(u) == 1 else u for u in inputs]
        return f, self.layers_found.taps(zeros, inputs)

    def one(self, params: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """F for the weights of one member and flat patterns (P, d): (P·C,)."""
        return self.function(params, x.unflatten(1, self.pattern_shape)).reshape(-1)

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """See ``Network.apply``; patterns may be each member's own, (M, P, d)."""
        return _of_members(lambda weights, _, x: self.one(weights, x), params, [], x)


def _of_members(function: Callable[..., Any], params: Params, zeros: list[Tensor], x: Tensor) -> Any:
    """What a function makes of each member's weights and zeros, and patterns (P, d) or (M, P, d), side by side.

    One member is asked without ``vmap``, which takes three times as long as a small network itself.
    """
    if len(next(iter(params.values()))) == 1:
        alone = {name: weight[0] for name, weight in params.items()}
        made = function(alone, [zero[0] for zero in zeros], x if x.dim() == 2 else x[0])
        return tree_map(lambda one: one[None], made)
    return torch.func.vmap(function, in_dims=(0, 0, None if x.dim() == 2 else 0))(params, zeros, x)


def _made(function: Apply, weights: Mapping[str, Tensor], few: Tensor) -> float:
    """Numbers that a forward pass makes for one pattern more: a bound on those that it keeps."""

    def total(patterns: Tensor) -> float:
        with torch.no_grad(), BytesMade() as work:
            function(weights, patterns)
        return work.total / next(iter(weights.values())).element_size()

    return total(few) - (total(few[:1]) if len(few) > 1 else 0)
