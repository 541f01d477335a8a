"""The tangent kernel of any module or pure function, with any number of outputs."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from feature_lazy.core.arrays import finite, tensor
from feature_lazy.core.errors import ConfigError
from feature_lazy.kernels.jacobian import Jacobian, add_kernel
from feature_lazy.networks.functional import Apply, check_weights, count_outputs, of_module, slowly


def empirical_kernel(
    network: nn.Module | Apply,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    weights: Mapping[str, Tensor] | None = None,
    outputs: Literal["full", "trace"] = "full",
    memory_limit: float = 2.0**30,
) -> Tensor:
    """Θ[μ, ν, c, c′] = ∇_w f_c(w, x_μ)·∇_w f_c′(w, x_ν) of any network: eq. 5 of arXiv:1906.08034, for C outputs.

    Its work is one backward pass for each pattern and output, and the product of two Jacobians, P1·P2·C² times the
    number N of weights. Where a block of the Jacobian does not fit into ``memory_limit``, parts of it are made again.

    Args:
        network: a module, or a pure function of (weights, patterns (P, …)) → (P,) or (P, C). A module is called in the
            mode that it is in, its buffers are passed along, and nothing of it is changed.
        x1: patterns (P1, …) of any shape and dtype, such as images or sequences of tokens.
        x2: patterns (P2, …); ``x1`` if omitted, for half the work.
        weights: the weights w to differentiate by, by name; all others of a module stay as they are. Default: the
            module's parameters without the frozen ones (``requires_grad=False``), which training does not move.
        outputs: what to keep of several outputs: "full", or "trace", Σ_c Θ[μ, ν, c, c].
        memory_limit: bytes that the work beside the result may take, of what PyTorch's operations return; one row of
            the Jacobian, and one that passes by it, are always held.

    Returns:
        Θ, in the dtype of the weights: (P1, P2) for one output, (P,) or (P, 1), and for the trace; (P1, P2, C, C) for
        several, a view on the matrix (P1·C, P2·C): ``theta.transpose(1, 2).flatten(2).flatten(0, 1)`` copies nothing.

    Raises:
        ConfigError: a network that is no pure function of its weights and one pattern (each message names the module
            and what to do), that ``torch.func`` cannot differentiate, or whose weights, patterns or outputs do not fit.
        DataError: patterns or weights that are no arrays of finite numbers.
        NumericalError: entries of Θ that are not finite.
    """
    if outputs not in {"full", "trace"}:
        raise ConfigError(f"outputs={outputs!r}: must be 'full' or 'trace'.")
    x1 = finite(tensor(x1, "patterns"), "patterns").detach()
    x2 = None if x2 is None else finite(tensor(x2, "patterns"), "patterns").detach()
    columns = x1 if x2 is None else x2
    if (x1.shape[1:], x1.dtype) != (columns.shape[1:], columns.dtype) or not (len(x1) and len(columns)):
        raise ConfigError(
            f"patterns are {x1.dtype} {tuple(x1.shape)} and {columns.dtype} {tuple(columns.shape)}: there must be "
            "some, and all of one shape and dtype."
        )
    function, weights = _function(network, weights)
    n_outputs = count_outputs(function, weights, torch.cat([x1[:2], columns[-1:]]))
    trace = outputs == "trace"
    jacobian, per_pattern = Jacobian(function, weights, n_outputs), 1 if trace else n_outputs
    theta = jacobian.zeros(len(x1) * per_pattern, len(columns) * per_pattern)
    add_kernel(theta, jacobian, x1, x2, trace=trace, memory_limit=memory_limit)
    if trace or n_outputs == 1:
        return theta
    return theta.unflatten(0, (-1, n_outputs)).unflatten(2, (-1, n_outputs)).transpose(1, 2)


def _function(network: nn.Module | Apply, weights: Mapping[str, Tensor] | None) -> tuple[Apply, dict[str, Tensor]]:
    """The network as a pure function, and the weights that its kernel is over.

    Raises:
        ConfigError: weights that are missing, not the module's, or not real.
    """
    if isinstance(network, nn.Module):
        known = {name for name, _ in network.named_parameters(remove_duplicate=False)}
        network, own = of_module(network)
        weights = own if weights is None else weights
        if unknown := sorted(set(weights) - known):
            raise ConfigError(f"the module has no parameter {unknown[0]!r}; it has {', '.join(sorted(known))}.")
    if weights is None:
        raise ConfigError("weights=None: only a module has weights of its own; give those of a function by name.")
    return slowly(network), check_weights(weights)
