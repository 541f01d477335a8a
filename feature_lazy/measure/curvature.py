"""Curvature of one network from Python, without configuration, store or command line."""

from collections.abc import Mapping
from typing import Any

import torch

from feature_lazy.core.arrays import number
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.measure.follow import MEMORY
from feature_lazy.measure.given import AnyNetwork, Given
from feature_lazy.networks.functional import check_weights
from feature_lazy.settings.groups import Loss


@torch.no_grad()
def curvature(
    network: AnyNetwork,
    weights: Mapping[str, Any] | None,
    train: tuple[Any, Any],
    *,
    alpha: float = 1.0,
    loss: Loss | str | None = None,
    initial: Mapping[str, Any] | None = None,
) -> Curvature:
    """Hessian, Gauss–Newton, Fisher and empirical Fisher matrix of 𝓛 (eq. 7) at some weights: see ``Curvature``.

    Args:
        network: as in ``follow``: a network of this package, a module, or a pure function of weights and patterns.
        weights: where, by name; None: those that the module has now.
        train: patterns (P, …) and labels (P,).
        alpha: output scale α.
        loss: ℓ(F, y) per pattern, or its name; default: as in ``follow``.
        initial: w₀ of F = α(f − f₀), by name; None: F = αf.

    Returns:
        The curvature of one member, for vectors (1, N), flat in the order of the network's weights.

    Raises:
        ConfigError: a network that cannot be trained, or labels, loss or weights that are not for it.
        DataError: what are no arrays of finite real numbers.
    """
    given, alpha = Given.of(network, weights, train, loss), number(alpha, "alpha", gt=0)
    net, x = given.network, given.x.flatten(1)
    w = net.layout.flatten({name: weight[None] for name, weight in given.weights.items()})
    f0 = w.new_zeros(1, len(x) * net.n_outputs)
    if initial is not None:
        before = Given.of(net, check_weights(initial), train, given.loss).weights
        f0 = outputs_in_chunks(net, net.layout.flatten({k: v[None] for k, v in before.items()}), x, MEMORY)
    return Curvature(net, w, x, given.y, given.loss, w.new_tensor([alpha]), f0, MEMORY)
