"""Dense and convolutional layers of a user's own network, found by watching what it does with its weights.

A weight is recognised where the network does nothing with it but ``linear``, each time to inputs of one shape, or one
``conv1d`` or ``conv2d`` without groups, and patterns are the first axis of the inputs: as in ``nn.Linear`` and
``nn.Conv2d``. So is a bias that is added in such calls alone. With zeros added to what a call gives, z = W u + 0, ∂f/∂z
is the derivative by them, and ∂f/∂W = Σ b uᵀ over calls and positions is exact, as for the networks of this package.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from feature_lazy.networks.base import LayerShape, Tap
from feature_lazy.networks.functional import Apply
from feature_lazy.networks.geometry import Rectangle, Window

DENSE, CONVOLUTIONS = torch.nn.functional.linear, {torch.conv1d: 1, torch.conv2d: 2}
ARGUMENTS = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
"""Of these functions, in their order."""
SHAKE = 0.1
"""How far weights are moved before it is tried, in their size: before a readout of zeros no layer has a gradient."""


@dataclass(frozen=True)
class Call:
    """A layer at one place of a forward pass.

    Attributes:
        weight, bias: their names, as far as they are recognised.
        inputs: shape of the inputs of one pattern: (…, fan-in) of a dense layer.
        outputs: shape of z of one pattern, fan-out first.
        window: of a convolution.
    """

    weight: str | None
    bias: str | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    window: Rectangle | None = None

    def shape(self, name: str) -> LayerShape:
        """Of the layer behind the weight or the bias; a bias is a weight of fan-in 1 that sees ones."""
        fan_out, *positions = self.outputs
        fan_in = self.inputs[-1] if self.window is None else self.inputs[0] * self.window.area
        return LayerShape(1 if name == self.bias else fan_in, fan_out, math.prod(positions))


@dataclass(frozen=True)
class Recognised:
    """The layers that are recognised, in the order in which a forward pass comes to them."""

    calls: tuple[Call, ...] = ()

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """The calls of each weight that is recognised, by its name."""
        found: dict[str, list[int]] = {}
        for k, call in enumerate(self.calls):
            for name in filter(None, (call.weight, call.bias)):
                found.setdefault(name, []).append(k)
        return found

    @cached_property
    def shapes(self) -> dict[str, LayerShape]:
        """The layer behind each of them, over all its calls."""
        found = {}
        for name, at in self.places.items():
            layer = self.calls[at[0]].shape(name)
            found[name] = replace(layer, positions=layer.positions * len(at))
        return found

    def zeros(self, members: int, patterns: int, like: Tensor) -> list[Tensor]:
        """What is added to z of each call, (M, P, fan-out, …)."""
        return [like.new_zeros(members, patterns, *call.outputs, requires_grad=True) for call in self.calls]

    def watched(
        self, function: Apply, weights: Mapping[str, Tensor], zeros: Sequence[Tensor], x: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Outputs for patterns x, with zeros (P, fan-out, …) added to z of each call, and the inputs of each call."""
        with _Marking({id(weights[name]) for name in self.places}, zeros) as marking:
            return function(weights, x), marking.inputs

    def taps(self, zeros: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tap]:
        """One tap for each weight, of the zeros and the inputs of all calls, (P, …) or (M, P, …)."""
        return [self._tap(name, zeros, inputs) for name in self.places]

    def _tap(self, name: str, zeros: Sequence[Tensor], inputs: Sequence[Tensor]) -> Tap:
        at = self.places[name]
        call, z = self.calls[at[0]], [zeros[k] for k in at]
        added = z if len(z) > 1 else ()
        if name == call.bias:
            return Tap(name, z[0].new_ones(z[0].shape[1], 1), z[0], 1.0, None, added)
        if call.window is not None or (len(call.inputs) == 1 and not added):
            u = inputs[at[0]]
            image = u.unsqueeze(-2) if call.window is not None and len(call.inputs) == 2 else u
            return Tap(name, image, z[0], 1.0, call.window)
        # One position after the other, as an image over which a window of one pixel moves: (…, P, d, T, S).
        lines = [inputs[k].reshape(*inputs[k].shape[: -len(call.inputs)], -1, call.inputs[-1]).mT for k in at]
        lines = [line.expand(len(z[0]), *line.shape[-3:]) if _own(lines) else line for line in lines]
        return Tap(name, torch.stack(lines, dim=-1), z[0], 1.0, Window(1), added)


def _own(lines: Sequence[Tensor]) -> bool:
    """Whether members have their own inputs, at any place."""
    return any(line.dim() > 3 for line in lines)


def recognised(function: Apply, weights: Mapping[str, Tensor], x: Tensor, n_outputs: int) -> Recognised:
    """What is known of a network's layers, by two patterns x (2, …); nothing by one."""
    if len(x) != 2:
        return Recognised()
    with torch.inference_mode(False):  # its tensors have no derivatives
        x, weights = x.clone(), {name: weight.clone() for name, weight in weights.items()}
        with torch.no_grad(), _Uses(weights, len(x)) as uses:
            function(weights, x)
        found = _only({name for name in set(weights) - uses.others if _alike(name, uses.calls)}, uses.calls)
        try:
            return _only(_exact(found, function, weights, x, n_outputs), uses.calls)
        except RuntimeError:  # at other weights, such as of a factor of Cholesky's
            return Recognised()


def _alike(name: str, calls: Sequence[Call]) -> bool:
    """Whether the calls of a weight can be one layer."""
    at = [call for call in calls if name in (call.weight, call.bias)]
    as_bias = {name == call.bias for call in at}
    shapes = {(call.outputs, None if call.bias == name else (call.inputs, call.window)) for call in at}
    return len(as_bias) == len(shapes) == 1 and (len(at) == 1 or True in as_bias or at[0].window is None)


def _only(names: set[str], calls: Sequence[Call]) -> Recognised:
    """The calls of some weights, and no others."""

    def kept(name: str | None) -> str | None:
        return name if name in names else None

    some = (replace(call, weight=kept(call.weight), bias=kept(call.bias)) for call in calls)
    return Recognised(tuple(call for call in some if call.weight or call.bias))


@torch.enable_grad()
def _exact(found: Recognised, function: Apply, weights: Mapping[str, Tensor], x: Tensor, n_outputs: int) -> set[str]:
    """The weights whose gradients, pattern by pattern, are those of autograd: it sees what no watching does."""
    draw = torch.Generator().manual_seed(0)

    def normal(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=draw, dtype=torch.float64).to(like)

    sizes = {name: float(w.square().mean().sqrt()) or 1.0 for name, w in weights.items()}
    leaves = {name: (w + SHAKE * sizes[name] * normal(w)).requires_grad_() for name, w in weights.items()}
    zeros = found.zeros(1, len(x), next(iter(weights.values())))
    f, inputs = found.watched(function, leaves, [zero[0] for zero in zeros], x)
    f = f.reshape(len(x), n_outputs)
    f = f @ normal(f[0])
    taps, all_of_them = found.taps(zeros, inputs), list(leaves.values())
    signals = torch.autograd.grad(f.sum(), zeros, retain_graph=True, materialize_grads=True)
    truth = [torch.autograd.grad(one, all_of_them, retain_graph=True, materialize_grads=True) for one in f]
    by_name = dict(zip(leaves, zip(*truth, strict=True), strict=True))
    by_zeros = {id(zero): signal for zero, signal in zip(zeros, signals, strict=True)}
    return {tap.name for tap in taps if _close(_gradients(tap, by_zeros), torch.stack(by_name[tap.name]))}


def _gradients(tap: Tap, signals: Mapping[int, Tensor]) -> Tensor:
    """Σ b uᵀ of one member over positions, of each pattern: (P, fan-out · fan-in)."""
    places = [signals[id(zeros)][0] for zeros in tap.added or [tap.preactivations]]
    b = torch.stack(places, dim=-1).flatten(2)
    u = tap.inputs[..., None].expand(-1, -1, b.shape[-1]) if tap.window is None else tap.window.unfold(tap.inputs)
    return (b @ u.mT).flatten(1)


def _close(found: Tensor, expected: Tensor) -> bool:
    """Whether they are the same to rounding, and not 0: of a weight that f does not depend on nothing is known."""
    tolerance = torch.finfo(expected.dtype).eps ** 0.5 * float(expected.abs().max())
    return tolerance > 0 and torch.allclose(found, expected.flatten(1), rtol=0, atol=tolerance)


def _bound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**dict(zip(ARGUMENTS, args, strict=False)), **kwargs}


class _Marking(TorchFunctionMode):
    """Adds zeros to what each call of some weights gives, and keeps its inputs."""

    def __init__(self, weights: set[int], zeros: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights, self.zeros = weights, zeros
        self.inputs: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is not DENSE and func not in CONVOLUTIONS:
            return made
        given = _bound(args, kwargs or {})
        if self.weights.isdisjoint({id(given["weight"]), id(given.get("bias"))}):
            return made
        zeros = self.zeros[len(self.inputs)]
        self.inputs.append(given["input"])
        return made + (zeros.movedim(1, -1) if func is DENSE else zeros)


class _Uses(TorchFunctionMode):
    """Sees what a forward pass over some patterns does with weights: calls of layers, and anything else."""

    def __init__(self, weights: Mapping[str, Tensor], patterns: int) -> None:
        super().__init__()
        self.names, self.patterns = {id(weight): name for name, weight in weights.items()}, patterns
        self.calls: list[Call] = []
        self.others: set[str] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        leaves = [self.names[id(value)] for value in tree_leaves((args, kwargs)) if id(value) in self.names]
        # Its shape or its dtype is no use of a weight.
        if leaves and any(isinstance(value, Tensor) for value in tree_leaves(made)):
            call = self._call(func, _bound(args, kwargs), made)
            if call is not None and len(leaves) == (call.weight is not None) + (call.bias is not None):
                self.calls.append(call)
            else:
                self.others |= set(leaves)
        return made

    def _call(self, func: Callable[..., Any], given: dict[str, Any], made: Any) -> Call | None:
        """The call of a layer, if it is one whose patterns are the first axis."""
        if func is not DENSE and func not in CONVOLUTIONS:
            return None
        inputs, weight = given["input"], given["weight"]
        name, bias = self.names.get(id(weight)), self.names.get(id(given.get("bias")))
        if inputs.dim() < 2 or len(inputs) != self.patterns or made.dtype != weight.dtype:
            return None
        shape = tuple(inputs.shape[1:])
        if func is DENSE:
            return Call(name, bias, shape, tuple(made.movedim(-1, 1).shape[1:])) if weight.dim() == 2 else None
        window = _window(weight, given, CONVOLUTIONS[func])
        fits = window is not None and len(shape) == CONVOLUTIONS[func] + 1
        return Call(name, bias, shape, tuple(made.shape[1:]), window) if fits else None


def _window(weight: Tensor, given: dict[str, Any], axes: int) -> Rectangle | None:
    """The window of a convolution over one axis or two; None for groups, and for padding that is more on one side."""

    def pair(value: Any, fill: int) -> tuple[int, int]:
        both = (value,) * axes if isinstance(value, int) else tuple(value)
        first, last = (fill, *both) if axes == 1 else both * (2 // len(both))
        return first, last

    size, dilation = pair(weight.shape[2:], 1), pair(given.get("dilation", 1), 1)
    stride, padding = pair(given.get("stride", 1), 1), given.get("padding", 0)
    if isinstance(padding, str):
        whole = [d * (s - 1) if padding == "same" else 0 for d, s in zip(dilation, size, strict=True)]
        if any(total % 2 for total in whole):
            return None
        padding = tuple(total // 2 for total in whole)[2 - axes :]
    return Rectangle(size, stride, pair(padding, 0), dilation) if given.get("groups", 1) == 1 else None
