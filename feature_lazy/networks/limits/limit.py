"""The kernels of infinite width that belong to a network: asked of the network itself, whatever it is."""

from torch import Tensor

from feature_lazy.core.arrays import reals
from feature_lazy.core.errors import ConfigError
from feature_lazy.networks.base import HasLimit, Network
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
