"""The kernels of infinite width that belong to a network, and what of a finite network tends to them."""

import torch
from torch import Tensor

from feature_lazy.core.arrays import reals
from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size, chunks
from feature_lazy.networks.base import GaussianNetwork, HasLimit, Network
from feature_lazy.networks.layout import Params
from feature_lazy.networks.limits.infinite import InfiniteKernels
from feature_lazy.networks.parametrisation import NTK


def limit_kernels(network: Network, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
    """Θ∞ and Σ∞ of a network's architecture, every width → ∞; its own widths play no part.

    Args:
        network: a network that has ``limit``; see ``networks.base.HasLimit``.
        x1: patterns (P1, d).
        x2: patterns (P2, d); ``x1`` if omitted.

    Returns:
        Kernels of one output. Those of several outputs are the same for each, and 0 between two.

    Raises:
        ConfigError: a network whose limit is not known, or one that is not in the NTK parametrisation.
        NumericalError: an activation whose kernel is not to be had.
    """
    if not isinstance(network, HasLimit):
        raise ConfigError(
            f"{type(network).__name__}: the network's limit is not known; use tangent_kernel at a finite width."
        )
    if getattr(network, "parametrisation", NTK) is not NTK:
        raise ConfigError("the parametrisation is not ntk, so that kernels do not tend to Θ∞; use ntk.")
    return network.limit(reals(x1, "patterns"), None if x2 is None else reals(x2, "patterns"))


def output_covariance(
    network: GaussianNetwork, params: Params, x: Tensor, memory_limit: float = float("inf")
) -> Tensor:
    """E f(x)f(x′) of one output over the weights of the last layer as they begin, all others given: (M, P, P).

    It tends to Σ∞ with the width. Arguments are those of ``last_features``.
    """
    features = last_features(network, params, x, memory_limit)
    return features @ features.mT


@torch.no_grad()
def last_features(network: GaussianNetwork, params: Params, x: Tensor, memory_limit: float = float("inf")) -> Tensor:
    """What the last layer sees, (M, P, D), scaled so that its inner products are ``output_covariance``.

    They are the last hidden layer over √h, and a column b·bias_std where the output has a bias.

    Args:
        network: a network whose last tap is of its output layer.
        params: weights of M members.
        x: patterns (P, d).
        memory_limit: bytes for one chunk of patterns.
    """
    some = next(iter(params.values()))
    per_pattern = COPIES_PER_ACTIVATION * len(some) * network.activations_per_pattern * some.element_size()
    parts: list[list[Tensor]] = []
    for chunk in chunks(len(x), chunk_size(len(x), per_pattern, memory_limit)):
        taps = network.taps(params, x[chunk])[1]
        # Weights of one layer, its bias among them, share their preactivations.
        last = [tap for tap in taps if tap.preactivations is taps[-1].preactivations]
        parts.append([tap.inputs * tap.scale * (network.bias_std if tap.name[0] == "B" else 1.0) for tap in last])
    together = [torch.cat(one, dim=-2).expand(len(some), -1, -1) for one in zip(*parts, strict=True)]
    return torch.cat(together, dim=-1)
