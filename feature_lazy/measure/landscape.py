"""The loss on a plane through the weights of a network: 𝓛(w + a·d₁ + b·d₂) (Li et al. 2018; Gabdullin 2024).

Axes d are the two first eigenvectors of the Hessian, of length 1, so that the plane's curvature along them is their
eigenvalue; or random, or the moments of Adam, each row of a weight scaled to the length of that of w.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import COPIES_PER_ACTIVATION, chunk_size
from feature_lazy.core.streams import stream
from feature_lazy.kernels.curvature import Curvature
from feature_lazy.networks.layout import Layout

HESSIAN, RANDOM, ADAM = AXES = ("hessian", "random", "adam")
"""Ways to choose the two directions of a plane."""
BETAS = (0.9, 0.999)
"""Decay of Adam's moments in an update (Kingma and Ba 2015)."""


class Plane(NamedTuple):
    """𝓛 on a square of a plane.

    Attributes:
        steps: a, and b, along the axes, (n,).
        loss: 𝓛, (n, n): a row for each a, a column for each b.
        axes: d₁ and d₂, (2, N).
        eigenvalues: of the Hessian along them, (2,); NaN of other axes.
    """

    steps: Tensor
    loss: Tensor
    axes: Tensor
    eigenvalues: Tensor

    @property
    def curvatures(self) -> Tensor:
        """Second differences of 𝓛 along each axis through the middle, (2,)."""
        middle, step = len(self.steps) // 2, self.steps[1] - self.steps[0]
        lines = torch.stack([self.loss[:, middle], self.loss[middle]])
        return (lines[:, middle - 1] - 2 * lines[:, middle] + lines[:, middle + 1]) / step**2


@torch.no_grad()
def plane(curvature: Curvature, axes: str, span: float, points: int, *, batch: int = 32, seed: int = 0) -> Plane:
    """Draw one.

    Args:
        curvature: 𝓛 at the weights of one member.
        axes: one of ``AXES``.
        span: a and b go from −span to span.
        points: along each axis, odd, so that w is one of them.
        batch: patterns of a minibatch, for Adam's moments.
        seed: of random axes.

    Raises:
        ConfigError: another number of points, or axes that the network does not have.
        NumericalError: eigenvectors that are not found.
    """
    if points < 3 or points % 2 == 0:
        raise ConfigError(f"{points} points along an axis: take an odd number of 3 or more, so that one is w itself.")
    if not 0 < span < float("inf"):
        raise ConfigError(f"A span of {span:g}: it must be above 0 and finite.")
    layout, w = curvature.architecture.layout, curvature.w
    eigenvalues = w.new_full((2,), torch.nan)
    if axes == HESSIAN:
        count = sum(part.shape[1] for part in layout.gathered(w))
        if count <= 2:
            raise ConfigError(f"axes={HESSIAN}: {count} weights are trained; eigenvectors of two need three.")
        eigenvalues, directions = curvature.hessian_axes(2)
    else:
        raw = _random(w, seed) if axes == RANDOM else adam_moments(curvature, batch)
        directions = by_rows(layout, layout.scattered(layout.gathered(raw)), w)
    steps = torch.linspace(-span, span, points, dtype=w.dtype, device=w.device)
    shifts = torch.cartesian_prod(steps, steps) @ directions
    per_member = COPIES_PER_ACTIVATION * len(curvature.x) * curvature.architecture.activations_per_pattern
    size = chunk_size(len(shifts), (per_member + w.shape[1]) * w.element_size(), curvature.memory_limit)
    losses = torch.cat([curvature.at(w + part).value for part in shifts.split(size)])
    return Plane(steps, losses.unflatten(0, (points, points)), directions, eigenvalues)


def _random(w: Tensor, seed: int) -> Tensor:
    return torch.from_numpy(stream(seed, "landscape").standard_normal((2, w.shape[1]))).to(w)


def by_rows(layout: Layout, directions: Tensor, w: Tensor) -> Tensor:
    """Directions (k, N) with each row of fan-in as long as that of w (1, N); 0 where a direction is 0."""
    named, there = layout.unflatten(directions), layout.unflatten(w)
    scaled = {}
    for name, part in named.items():
        rows, lengths = part.flatten(2), there[name].flatten(2).norm(dim=2, keepdim=True)
        own = rows.norm(dim=2, keepdim=True)
        scaled[name] = torch.where(own > 0, rows * lengths / own, 0).reshape(part.shape)
    return layout.flatten(scaled)


def adam_moments(curvature: Curvature, batch: int) -> Tensor:
    """First and second moments that Adam would have after an epoch at the weights as they are, (2, N).

    Runs store no moments. They are decayed means of the gradient on each minibatch, and of its square.

    Raises:
        ConfigError: the gradient is 0.
    """
    n = len(curvature.x)
    first, second = torch.zeros_like(curvature.w[0]), torch.zeros_like(curvature.w[0])
    for chosen in torch.from_numpy(stream(0, "landscape batches").permutation(n)).split(batch):
        gradient = curvature.gradient(chosen.to(curvature.w.device))[0]
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient
        second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
    if not bool(first.any()):
        raise ConfigError(f"axes={ADAM}: the gradient is 0 on all patterns, so that Adam has no moments; use hessian.")
    return torch.stack([first, second])
