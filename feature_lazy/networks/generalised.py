"""Convolutions whose filters are templates: patches meet them by a weighted distance or a kernel, and no product."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.networks.geometry import Window, convolve
from feature_lazy.networks.layout import Layout, Params

if TYPE_CHECKING:
    from feature_lazy.networks.convolutional import Convolutional

ROUND = 0.1
"""ε of |u|_ε = √(u² + ε²) − ε: an ordinary |u| has a kink in weights and patterns, at which a flow's steps end."""
SECOND_MOMENTS = {"l1": 2.0, "l2": 12.0}
"""E |p − w|² and E |p − w|⁴ for independent p, w ~ N(0, 1)."""


@dataclass(frozen=True)
class Generalised:
    """A convolutional network with another operator in place of the product (arXiv:1707.09864).

    With p the n = s²·C entries of a patch, and W the template of a filter,

    * weighted distances: z = B − Σ_i V_i δ_i/√(n E δ²), δ = |p − W|_ε (``l1``) or (p − W)² (``l2``);
    * ``gaussian``: z = (κ − E κ)/sd κ, κ = exp(−γ|p − W|²), γ = e^B/n, moments as at the start for p ~ N(0, 1);

    where W, V ~ N(0, 1) and B = 0 at the start. V may have either sign, so that l2 has the product within it,
    −V p² + 2VW p − VW². All else is the network's, and so is W at the start, seed by seed.

    Attributes:
        plain: the network with a product.
        operator: l1, l2 or gaussian.
    """

    plain: Convolutional
    operator: str
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        """Lay out W… as they are, after each filter V… of its shape, but for ``gaussian``, and B…, (C_out,)."""
        *filters, last = self.plain.layout.shapes.items()
        shapes = {}
        for name, shape in filters:
            of_entries = {} if self.operator == "gaussian" else {f"V{name[1:]}": shape}
            shapes |= {name: shape, **of_entries, f"B{name[1:]}": shape[:1]}
        object.__setattr__(self, "layout", Layout(shapes | dict([last])))

    @property
    def last_fan_in(self) -> int:
        return self.plain.last_fan_in

    @property
    def n_outputs(self) -> int:
        return self.plain.n_outputs

    @property
    def forward_flops(self) -> float:
        """A square and a product with each template, or the one distance that is as dear."""
        return 2 * self.plain.forward_flops

    @property
    def signal_flops(self) -> float:
        return 2 * self.plain.signal_flops

    @property
    def activations_per_pattern(self) -> int:
        """As of the product, and its square; for l1 a patch less each template, its root, and their slopes."""
        apart = sum(layer.fan_in * layer.fan_out * layer.positions for layer in self.plain.layers)
        return 2 * self.plain.activations_per_pattern + (3 * apart if self.operator == "l1" else 0)

    def init(self, seed: int) -> dict[str, Tensor]:
        """W and V of N(0, 1), each from the seed's own stream, and B = 0; float64."""
        own = self.plain.init(seed)
        for name, shape in self.layout.shapes.items():
            if name.startswith("V"):
                own[name] = torch.from_numpy(stream(seed, "initialisation", name).standard_normal(shape))
            elif name.startswith("B"):
                own[name] = torch.zeros(shape, dtype=torch.float64)
        return {name: own[name] for name in self.layout.shapes}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x), (M, P·C), as ``Network.apply`` gives it."""
        plain = self.plain
        inputs = x.unflatten(-1, plain.image_shape)
        for layer, window in enumerate(plain.windows):
            found = self._meet(inputs, params[f"W{layer}"], params.get(f"V{layer}"), params[f"B{layer}"], window)
            inputs = plain.activation(found)
        last = params[f"W{len(plain.windows)}"] / math.sqrt(self.last_fan_in)
        return (inputs.mean(dim=(-2, -1)) @ last.mT).flatten(1)

    def _meet(self, images: Tensor, w: Tensor, v: Tensor | None, b: Tensor, window: Window) -> Tensor:
        """z of images (P, C, H, W) or (M, P, C, H, W) and filters (M, C', C, s, s): (M, P, C', H', W')."""
        n, b = math.prod(w.shape[2:]), b[:, None, :, None, None]
        if v is None:
            mean, spread = _kernel_moments(n)
            return ((-b.exp() / n * _squares(images, torch.ones_like(w), w, window)).exp() - mean) / spread
        distance: Callable[..., Tensor] = _squares if self.operator == "l2" else _rounded
        return b - distance(images, v, w, window) / math.sqrt(n * SECOND_MOMENTS[self.operator])


def _kernel_moments(n: int) -> tuple[float, float]:
    """Mean and standard deviation of exp(−|p − w|²/n) for independent p, w ~ N(0, 1)ⁿ: p − w has variance 2."""
    mean = (1 + 4 / n) ** (-n / 2)
    return mean, math.sqrt((1 + 8 / n) ** (-n / 2) - mean**2)


def _squares(images: Tensor, v: Tensor, w: Tensor, window: Window) -> Tensor:
    """Σ v (p − w)² at each position, by products: differences would take as many numbers as multiplications."""
    constant = (v * w.square()).sum(dim=(2, 3, 4))[:, None, :, None, None]
    return convolve(images.square(), v, window) - 2 * convolve(images, v * w, window) + constant


def _rounded(images: Tensor, v: Tensor, w: Tensor, window: Window) -> Tensor:
    """Σ v |p − w|_ε at each position; the sum is a product of matrices, whose columns are positions of all patterns."""
    flat = torch.nn.functional.unfold(images.flatten(0, -4), window.size, 1, window.padding, window.stride)
    patches = flat.unflatten(0, images.shape[:-3]).transpose(-3, -2).flatten(-2)[..., None, :, :]
    apart = ((patches - w.flatten(2)[..., None]).square() + ROUND**2).sqrt()
    v = v.flatten(2)[:, :, None]
    summed = (v @ apart - ROUND * v.sum(dim=-1, keepdim=True)).squeeze(-2)
    after = [window.positions(side) for side in images.shape[-2:]]
    return summed.unflatten(-1, (images.shape[-4], *after)).transpose(1, 2)
