"""A network as a pure function of its weights and patterns, and a sentence for each reason why it may not be one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from feature_lazy.core.arrays import finite, tensor
from feature_lazy.core.drawn import disturbed
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import called, explained

Apply = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""apply(weights, patterns (P, …)) → outputs (P,) or (P, C) of one network."""

ALONE = 2
"""Patterns whose outputs alone are held against those in a batch."""
SHIFT = 1e-3
"""Change of a weight without derivative, to see whether outputs depend on the weight; hard choices rarely show it."""


def of_module(module: nn.Module, like: Tensor | None = None) -> tuple[Apply, dict[str, Tensor]]:
    """A module as a function of its weights, and its weights as they are now.

    Frozen parameters (``requires_grad=False``) are no weights, and like buffers enter as they are now. The function
    takes any of the module's parameters, and what it is not given keeps its value.

    Args:
        module: it is left as it is.
        like: whose dtype and device weights, buffers and frozen parameters get: complex ones its complex dtype,
            integers none. None: all stay as they are.

    Raises:
        ConfigError: a module in a mode in which it is no function of weights and one pattern (batch normalisation or
            dropout in training mode), parameters that are not real and finite, or none to train.
    """
    for name, part in module.named_modules():
        _check_mode(called(name, part), part)
    fixed = dict(module.named_buffers())
    weights: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise ConfigError(f"parameter {name!r} has no shape yet: call the module once on a few patterns.")
        (weights if parameter.requires_grad else fixed)[name] = check_weights({name: parameter})[name]
    if not weights:
        raise ConfigError("the module has no trainable parameter: set requires_grad=True for those to be trained.")
    fixed, weights = ({name: _like(value, like) for name, value in part.items()} for part in (fixed, weights))

    tied = any(
        len(list(named())) < len(list(named(remove_duplicate=False)))
        for named in (module.named_parameters, module.named_buffers)
    )

    def function(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(module, {**fixed, **weights}, (x,), tie_weights=tied)

    return function, weights


def _like(value: Tensor, like: Tensor | None) -> Tensor:
    """A copy; see ``of_module``."""
    copy = value.detach().clone()
    if like is None:
        return copy
    dtype = like.dtype.to_complex() if value.is_complex() else like.dtype if value.is_floating_point() else value.dtype
    return copy.to(like.device, dtype)


def check_weights(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """The same weights as tensors without a graph, by which a network can be differentiated.

    Raises:
        ConfigError: no weights by name, or one that is complex or an integer.
        DataError: one that is no array, or not finite.
    """
    if not isinstance(weights, Mapping):
        raise ConfigError(f"weights are {type(weights).__name__}; they must be a dictionary, tensors by name.")
    if not weights:
        raise ConfigError("the network has no weights.")
    found = {}
    for name, values in weights.items():
        weight = tensor(values, f"entries of weight {name!r}").detach()
        if not weight.is_floating_point():
            raise ConfigError(
                f"weight {name!r} is {weight.dtype}; weights must be real floating point numbers. Make a constant a "
                "buffer, and a complex weight two real ones."
            )
        found[name] = finite(weight, f"entries of weight {name!r}")
    return found


def count_outputs(function: Apply, weights: Mapping[str, Tensor], x: Tensor) -> int:
    """Number C of outputs, 1 for outputs (P,), of a network that treats each pattern of x (P, …) by itself.

    The network is looked at before anything is made of it: x, weights and what it keeps stay as they are.

    Raises:
        ConfigError: the network fails on a few patterns, gives anything but real outputs (P,) or (P, C), gives a
            pattern another output in a batch than alone, or other outputs when it is asked again, writes into what it
            is given, or has no derivative by a weight that decides its outputs.
    """
    if not len(x):
        raise ConfigError("there are no patterns.")
    # Tensors of inference mode have no derivatives.
    with torch.inference_mode(False), torch.no_grad():
        few = x[:: -(-len(x) // ALONE)].clone()
        weights = {name: weight.clone() for name, weight in weights.items()}
        known = {"its input": few, **{f"weight {name!r}": weight for name, weight in weights.items()}}
        with (
            explained(f"the network fails on patterns of the shape {tuple(x.shape[1:])}, {x.dtype}"),
            _Unwritten(known),
        ):
            together = function(weights, few)
            alone = [function(weights, pattern[None]) for pattern in few]
            with disturbed():
                again = function(weights, few)
        n_outputs = _counted(few, together, again, alone)
        _check_derivative(function, weights, few, together)
    return n_outputs


def _counted(few: Tensor, together: Any, again: Any, alone: list[Any]) -> int:
    """C, from outputs of a few patterns at once, twice, and of each.

    Raises:
        ConfigError: see ``count_outputs``.
    """
    for outputs, n in [(together, len(few)), (again, len(few)), *((one, 1) for one in alone)]:
        real = isinstance(outputs, Tensor) and outputs.is_floating_point()
        if not real or outputs.dim() not in (1, 2) or len(outputs) != n or not outputs.numel():
            found = f"{outputs.dtype} {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
            raise ConfigError(
                f"the network gives {found} for {n} patterns; it must give real numbers, (P,) or (P, C). Wrap it in a "
                "function that returns these."
            )
    separate = torch.cat(alone)
    # Rounding differs with the size of a batch; what patterns do to each other is far larger.
    tolerance = torch.finfo(separate.dtype).eps ** 0.5
    scale = float(separate.abs().max())
    if not torch.allclose(together, again, rtol=0, atol=tolerance * scale, equal_nan=True):
        raise ConfigError(
            "the network gives other outputs when it is asked again, by up to "
            f"{float((together - again).abs().max()):.1e}: it must be a function of weights and pattern. Look for "
            "random numbers, the time, and what it counts or keeps from call to call."
        )
    if not torch.allclose(together, separate, rtol=0, atol=tolerance * scale, equal_nan=True):
        raise ConfigError(
            "the network gives a pattern another output in a batch than alone, by up to "
            f"{float((together - separate).abs().max()):.1e}: patterns must not see each other. Look for statistics of "
            "the batch, random numbers, and a pattern axis other than the first."
        )
    return together[0].numel()


def _check_derivative(function: Apply, weights: Mapping[str, Tensor], few: Tensor, outputs: Tensor) -> None:
    """Refuse a network that moves with a weight and has no derivative by it; a weight without any part may stay.

    Raises:
        ConfigError: see ``count_outputs``.
    """
    leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    with torch.enable_grad(), explained("the network cannot be differentiated by its weights"):
        f = function(leaves, few)
        found = torch.autograd.grad(f.sum(), list(leaves.values()), allow_unused=True) if f.requires_grad else ()
    by = {name for name, gradient in zip(leaves, found, strict=False) if gradient is not None}
    without = {name: weight + SHIFT * (1 + weight.abs()) for name, weight in weights.items() if name not in by}
    same = not without or torch.allclose(function({**weights, **without}, few), outputs, rtol=0, atol=0, equal_nan=True)
    if not same or not by:
        raise ConfigError(
            f"the outputs have no derivative by weight {next(iter(without))!r}: look for .detach(), .data, .item(), "
            "torch.no_grad() and conversions to NumPy or integers on the way from it; a weight that is not to be "
            "trained is frozen by requires_grad=False."
        )


class Watching(TorchDispatchMode):
    """A mode that sees every operation, without PyTorch's compiler, which takes two seconds to import."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether PyTorch hides the mode from its compiler; PyTorch asks when a class is made."""
        return False


class BytesMade(Watching):
    """Counts the bytes of all that operations make, as if nothing were freed: a bound on what they hold at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count storages that it returns and was not given."""
        made = func(*args, **(kwargs or {}))
        given = {t.untyped_storage().data_ptr() for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        storages = [t.untyped_storage() for t in tree_leaves(made) if isinstance(t, Tensor)]
        self.total += sum(storage.nbytes() for storage in storages if storage.data_ptr() not in given)
        return made


class _Unwritten(Watching):
    """Stops a function that writes into a tensor that it has not made, before it does."""

    def __init__(self, known: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.known = {_place(value): name for name, value in known.items()}
        # They are held, so that nothing else comes to lie in their place.
        self.made: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation that writes into nothing, or into what the function has made.

        Raises:
            RuntimeError: it would write into something else.
        """
        kwargs = kwargs or {}
        named = {**dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)), **kwargs}
        for argument in func._schema.arguments:
            if argument.alias_info is not None and argument.alias_info.is_write:
                for value in _tensors(named.get(argument.name)):
                    if value.numel() and _place(value) not in self.made:
                        what = self.known.get(_place(value), "a tensor that it keeps, such as a buffer")
                        raise RuntimeError(f"it writes into {what}, by the in-place {func._schema.name}; use a copy")
        made = func(*args, **kwargs)
        given = {_place(value) for value in _tensors((args, kwargs))}
        fresh = func is torch.ops.aten.lift_fresh.default  # a constant that Python made
        self.made |= {_place(value): value for value in _tensors(made) if fresh or _place(value) not in given}
        return made


def _tensors(values: Any) -> Iterator[Tensor]:
    return (value for value in tree_leaves(values) if isinstance(value, Tensor) and value.layout == torch.strided)


def _place(value: Tensor) -> int:
    """Where a tensor lies: that of its storage, which views share."""
    return value.untyped_storage().data_ptr()


def slowly(function: Apply) -> Apply:
    """The same network, with attention of PyTorch by operations that have all derivatives, and rules for vmap."""

    @wraps(function)
    def slow(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with sdpa_kernel(SDPBackend.MATH):
                return function(weights, x)
        finally:
            torch.backends.mha.set_fastpath_enabled(before)

    return slow


def under_vmap() -> AbstractContextManager[None]:
    """Explain why a network does not run under ``torch.func.vmap``."""
    return explained(
        "the network does not run under torch.func.vmap",
        "It must be a pure function of weights and pattern: no .item(), no branch or shape that depends on values, no "
        "writing into a tensor in place, no random numbers.",
    )


def _check_mode(called: str, module: nn.Module) -> None:
    """Refuse modules whose output depends on the batch or on chance.

    Raises:
        ConfigError: normalisation that follows the batch, or dropout, in training mode.
    """
    if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
        raise ConfigError(
            f"{called} normalises by the statistics of the batch, and the network must be a function of one pattern: "
            "call eval() first, and keep track_running_stats."
        )
    # Attention and recurrent modules of PyTorch keep a rate of their own.
    rate = module.p if isinstance(module, _DropoutNd) else getattr(module, "dropout", 0.0)
    if module.training and isinstance(rate, float) and rate > 0:
        raise ConfigError(
            f"{called} is in training mode and draws random numbers, and the network must be a function of its weights "
            "alone: call eval() first."
        )
