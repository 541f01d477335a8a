"""The tangent kernel Θ(x, x') = ∇_w f(w, x)·∇_w f(w, x') (eq. 5) of a network: in total, and of each layer."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError, KernelSizeError
from feature_lazy.core.memory import WORKING, chunk_size, chunks, free_bytes
from feature_lazy.kernels.checks import kernel_entries, of_network, takes_arrays
from feature_lazy.kernels.jacobian import jacobian_kernel
from feature_lazy.kernels.layerwise import Linearisation, accumulate, factor_bytes, mirror, shows_layers
from feature_lazy.networks.base import Layered, Network, Tapped
from feature_lazy.networks.layout import Params
from feature_lazy.networks.outputs import span


@takes_arrays("x1", "x2")
def tangent_kernel(
    architecture: Network,
    params: Params,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: Literal["full", "trace"] = "full",
    memory_limit: float | None = None,
    check_finite: bool = True,
) -> Tensor:
    """Θ(x, x') for every pair of patterns (eq. 5), and of outputs if there are several.

    Args:
        architecture: a network; one that shows its layers needs no Jacobian.
        params: weights of M members.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted, which halves the work.
        outputs: what to keep of C outputs: "full", or "trace", Σ_c Θ[μ, ν, c, c].
        memory_limit: bytes that the work beside the result may take, at least those of two patterns; half of what the
            device has free if omitted.
        check_finite: refuse a kernel with infinities or NaN.

    Returns:
        Θ, shape (M, P1·C, P2·C) with the outputs of a pattern side by side, or (M, P1, P2) for the trace, in the dtype
        of the weights.

    Raises:
        ConfigError: a network without known layers that ``torch.func`` cannot differentiate, weights or patterns that
            are not the network's, or other ``outputs``.
        DataError: patterns that are no arrays of real numbers.
        KernelSizeError: Θ is larger than the memory that the device has free.
        NumericalError: Θ is not finite.
    """
    if outputs not in {"full", "trace"}:
        raise ConfigError(f"outputs={outputs!r}: must be 'full' or 'trace'.")
    params, trace = of_network(architecture, params, x1, x2), outputs == "trace"
    shape = _shape(architecture, params, x1, x2, trace=trace)
    limit = _limit(shape, params, 1, memory_limit)
    if shows_layers(architecture):
        theta = _zeros(shape, params)
        _fill(architecture, params, x1, x2, [theta] * len(architecture.layout.trained), limit, trace=trace)
    else:
        theta = jacobian_kernel(architecture, params, x1, x2, trace=trace, memory_limit=limit, check_finite=False)
    return _finite(theta) if check_finite else theta


@takes_arrays("x1", "x2")
def layer_kernels(
    architecture: Network,
    params: Params,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    memory_limit: float | None = None,
    check_finite: bool = True,
) -> dict[str, Tensor]:
    """The part of each trained weight in Θ, by its name; their sum is ``tangent_kernel``, whose arguments these are.

    Raises:
        ConfigError: a network that does not show its layers, or weights or patterns that are not its.
        KernelSizeError: the kernels are larger than the memory that the device has free.
        NumericalError: one of them is not finite.
    """
    if not shows_layers(architecture):
        raise ConfigError("this network does not show its layers, so its kernel has no parts: use tangent_kernel.")
    params = of_network(architecture, params, x1, x2)
    names, shape = architecture.layout.trained, _shape(architecture, params, x1, x2)
    limit = _limit(shape, params, len(names), memory_limit)
    parts = {name: _zeros(shape, params) for name in names}
    _fill(architecture, params, x1, x2, list(parts.values()), limit)
    return {name: _finite(theta) for name, theta in parts.items()} if check_finite else parts


class JointKernel(NamedTuple):
    """Θ on a training and a test set; views of one kernel on both.

    Attributes:
        train: (M, P·C, P·C).
        test_train: (M, P_test·C, P·C).
        test: (M, P_test·C, P_test·C).
    """

    train: Tensor
    test_train: Tensor
    test: Tensor


@takes_arrays("x_train", "x_test")
def joint_kernel(
    architecture: Network, params: Params, x_train: Tensor, x_test: Tensor, *, memory_limit: float | None = None
) -> JointKernel:
    """Θ on training patterns (P, d), between test patterns (P_test, d) and those, and on test patterns, at once.

    Raises:
        KernelSizeError: Θ on both sets is larger than the memory that the device has free.
        NumericalError: Θ is not finite.
    """
    theta = tangent_kernel(architecture, params, torch.cat([x_train, x_test]), memory_limit=memory_limit)
    n = len(x_train) * architecture.n_outputs
    return JointKernel(theta[:, :n, :n], theta[:, n:, :n], theta[:, n:, n:])


def _fill(
    architecture: Layered | Tapped,
    params: Params,
    x1: Tensor,
    x2: Tensor | None,
    parts: Sequence[Tensor],
    limit: float,
    *,
    trace: bool = False,
) -> None:
    """Add the part of each layer to its tensor, tile by tile: the factors of two tiles are held at once."""
    theta, columns, c = parts[0], x1 if x2 is None else x2, 1 if trace else architecture.n_outputs
    per_pattern = factor_bytes(architecture, theta.shape[0], x1.shape[-1], theta.element_size())
    n, held, work = max(len(x1), len(columns)), 0.75 * limit, 0.25 * limit
    size = n if n * per_pattern <= held and x2 is None else chunk_size(n, 2 * per_pattern, held)

    def linearise(x: Tensor) -> Linearisation:
        linear = Linearisation.around(architecture, params, x, work)
        return linear.traced() if trace else linear

    # Each tensor once: those of all layers may be one.
    mirrored = list({id(part): part for part in parts}.values()) if x2 is None else []
    for rows, others in _tiles(len(x1), len(columns), size, symmetric=x2 is None):
        left = linearise(x1[rows])
        for across in others:
            same = x2 is None and across == rows
            right = None if same else linearise(columns[across])
            here, there = span(rows, c), span(across, c)
            accumulate([part[:, here, there] for part in parts], left, right, work)
            for part in mirrored:
                if same:
                    mirror(part[:, here, here])
                else:
                    part[:, there, here] = part[:, here, there].mT


def _tiles(n_rows: int, n_columns: int, size: int, *, symmetric: bool) -> Iterator[tuple[slice, list[slice]]]:
    """Each tile of rows with the tiles of columns that it needs: from its own on, if symmetric."""
    across = list(chunks(n_columns, size))
    for index, rows in enumerate(chunks(n_rows, size)):
        yield rows, across[index:] if symmetric else across


def _shape(
    architecture: Network, params: Params, x1: Tensor, x2: Tensor | None, *, trace: bool = False
) -> tuple[int, int, int]:
    """Shape of a kernel: members, and rows and columns, one for each output of each pattern."""
    c = 1 if trace else architecture.n_outputs
    return len(next(iter(params.values()))), c * len(x1), c * len(x1 if x2 is None else x2)


def _zeros(shape: tuple[int, int, int], params: Params) -> Tensor:
    return next(iter(params.values())).new_zeros(shape)


def _limit(shape: tuple[int, int, int], params: Params, kernels: int, memory_limit: float | None) -> float:
    """Bytes for the work beside the result.

    Raises:
        KernelSizeError: the result itself does not fit.
    """
    weight = next(iter(params.values()))
    needed = float(kernels * math.prod(shape) * weight.element_size())
    if needed < WORKING and memory_limit is not None:
        return memory_limit  # asking takes as long as a small kernel
    free = free_bytes(str(weight.device))
    if needed > free:
        raise KernelSizeError(
            f"a tangent kernel of {' × '.join(map(str, shape))} numbers takes {needed / 2**30:.1f} GiB, and "
            f"{weight.device} has {free / 2**30:.1f} GiB free: compute it in tiles on disk, kernel_on_disk(…, "
            "path=FOLDER), or multiply by it without forming it, TangentOperator(…)."
        )
    return (free - needed) / 2 if memory_limit is None else memory_limit


def _finite(theta: Tensor) -> Tensor:
    """The same kernel (M, P1, P2).

    Raises:
        NumericalError: that of a member is not finite.
    """
    for member, its_theta in enumerate(theta):
        kernel_entries(its_theta, f"in the kernel of member {member}")
    return theta
