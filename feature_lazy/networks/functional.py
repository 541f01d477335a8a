"""A network as a pure function of its weights and patterns, and a sentence for each reason why it may not be one."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parameter import is_lazy

from feature_lazy.core.drawn import disturbed
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import called, explained

Apply = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""apply(weights, patterns (P, …)) → outputs (P,) or (P, C) of one network."""

ALONE = 3
"""Patterns whose outputs alone are held against those in a batch."""


def of_module(module: nn.Module) -> tuple[Apply, dict[str, Tensor]]:
    """A module as a function of its weights, and its weights as they are now.

    Frozen parameters (``requires_grad=False``) are no weights, and like buffers enter as they are now. The function
    takes any of the module's parameters, and what it is not given keeps its value.

    Raises:
        ConfigError: a module in a mode in which it is no function of weights and one pattern (batch normalisation or
            dropout in training mode), parameters that are not real numbers, or none to train.
    """
    for name, part in module.named_modules():
        _check_mode(called(name, part), part)
    fixed = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    weights: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise ConfigError(f"parameter {name!r} has no shape yet: call the module once on a few patterns.")
        check_weights({name: parameter})
        (weights if parameter.requires_grad else fixed)[name] = parameter.detach().clone()
    if not weights:
        raise ConfigError("the module has no trainable parameter: set requires_grad=True for those to be trained.")

    def function(weights: Mapping[str, Tensor], x: Tensor) -> Tensor:
        # Copies of the buffers, so that a module that counts in one leaves its own alone.
        return torch.func.functional_call(module, {**fixed, **weights}, (x,))

    return function, weights


def check_weights(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights by which nothing can be differentiated.

    Raises:
        ConfigError: there are none, or one is complex or an integer.
    """
    if not weights:
        raise ConfigError("the network has no weights.")
    for name, weight in weights.items():
        if not weight.is_floating_point():
            raise ConfigError(
                f"weight {name!r} is {weight.dtype}; weights must be real floating point numbers. Make a constant a "
                "buffer, and a complex weight two real ones."
            )


def count_outputs(function: Apply, weights: Mapping[str, Tensor], x: Tensor) -> int:
    """Number C of outputs, 1 for outputs (P,), of a network that treats each pattern of x (P, …) by itself.

    Raises:
        ConfigError: the network fails on a few patterns, gives anything but real outputs (P,) or (P, C), gives a
            pattern another output in a batch than alone, or other outputs when it is asked again.
    """
    if not len(x):
        raise ConfigError("there are no patterns.")
    few = x[:: -(-len(x) // ALONE)]
    with torch.no_grad(), explained(f"the network fails on patterns of the shape {tuple(x.shape[1:])}, {x.dtype}"):
        together = function(weights, few)
        alone = [function(weights, pattern[None]) for pattern in few]
        with disturbed():
            again = function(weights, few)
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
