"""Output layers for networks that start from a stored run: drawn anew, or fit by least squares."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.streams import stream
from feature_lazy.dynamics.flow import outputs_in_chunks
from feature_lazy.dynamics.losses import Mse
from feature_lazy.kernels import tangent_kernel
from feature_lazy.kernels.first_order import first_order
from feature_lazy.networks.base import Initialised
from feature_lazy.networks.layout import only

if TYPE_CHECKING:
    from feature_lazy.runs.batch import Batch

CUTOFF = 1e-12
"""Eigenvalues of the features' kernel over the largest, below which a direction is taken for none: rounding of a sum
of some hundred products."""
LINEAR = 1e-6
"""How far outputs may be off what a linear head gives, over their size: rounding over the square root of ``CUTOFF``."""


def drawn(network: Initialised, seed: int) -> dict[str, Tensor]:
    """An output layer as networks begin, independent of that with which the seed's own network began."""
    other = int(stream(seed, "head").integers(2**31))
    initial = network.init(other)
    return {name: initial[name] for name in network.layout.last}


def probed(batch: "Batch", weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with the output layer θ of least norm that fits the training set best: αf = Jθ for features J.

    θ = Jᵀ(JJᵀ)⁺ y/α, with y = ±1, the one-hot vector of a class, or a real label, times the target of the loss.

    Raises:
        ConfigError: a network that is not linear in its output layer.
    """
    data, layout = batch.dataset, batch.architecture.layout
    net = only(batch.architecture, layout.last)  # also where the head is to stay
    start = {name: (torch.zeros_like(w) if name in layout.last else w)[None] for name, w in weights.items()}
    w = layout.flatten(start).to(data.x_train)
    params = net.layout.unflatten(w)
    bare = outputs_in_chunks(net, w, data.x_train, batch.memory_limit)
    wanted = _targets(batch) / batch.alpha - bare
    theta = tangent_kernel(net, params, data.x_train, memory_limit=batch.memory_limit)[0]
    values, vectors = torch.linalg.eigh(theta)
    inverse = torch.where(values > CUTOFF * values[-1], 1 / values, 0.0)
    a = (inverse * (wanted @ vectors)) @ vectors.mT
    moved = w + first_order(net, params, data.x_train, batch.memory_limit).pull_back(a)
    found, expected = outputs_in_chunks(net, moved, data.x_train, batch.memory_limit), bare + a @ theta
    if not bool((found - expected).norm() <= LINEAR * expected.norm()):
        raise ConfigError("seed.head=probe: the network is not linear in its last layer; use seed.head=new.")
    return {name: weight[0].double().cpu() for name, weight in layout.unflatten(moved).items()}


def _targets(batch: "Batch") -> Tensor:
    """What F is fit to, (1, P·C)."""
    y, c = batch.dataset.y_train, batch.dataset.n_outputs
    target = batch.loss.target if isinstance(batch.loss, Mse) else 1.0
    if c > 1:
        y = torch.nn.functional.one_hot(y, c).flatten()
    return target * y.to(batch.dataset.x_train)[None]
