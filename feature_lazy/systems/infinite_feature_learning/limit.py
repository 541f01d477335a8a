"""The infinitely wide linear network that learns features, which d + C hidden units are enough for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, dense_layers
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import Role


@dataclass(frozen=True)
class InfiniteLinear(GaussianNetwork):
    """f = VUx/√d with U (d + C, d) and V (C, d + C), from U = [1; 0], V = [0, 1].

    A network of n units, f = (1/n) Σ v_i u_i·x/√d with u, v ~ N(0, 1) and rate n, knows its units by their means alone:
    E uuᵀ, E vu and E vvᵀ are UᵀU, VU and VVᵀ, which begin as 1, 0 and 1 and obey the same equations (arXiv:2011.14522,
    and the authors' code).

    Attributes:
        input_dim: d.
        n_outputs: C.
    """

    input_dim: int
    n_outputs: int = 1
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out U and V."""
        units = self.input_dim + self.n_outputs
        object.__setattr__(self, "layout", Layout({"U": (units, self.input_dim), "V": (self.n_outputs, units)}))
        object.__setattr__(self, "roles", {})

    @property
    def last_fan_in(self) -> int:
        """1: V has no factor and rate 1, as of one unit."""
        return 1

    @property
    def layers(self) -> list[LayerShape]:
        return dense_layers(self.layout)

    @property
    def activations_per_pattern(self) -> int:
        return self.input_dim + 2 * self.n_outputs

    def init(self, seed: int) -> dict[str, Tensor]:
        """U = [1; 0] and V = [0, 1], float64, whatever the seed."""
        d, c = self.input_dim, self.n_outputs
        whole = torch.eye(d + c, dtype=torch.float64)
        return {"U": whole[:, :d].clone(), "V": whole[d:].clone()}

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        scale = 1 / math.sqrt(self.input_dim)
        hidden = x @ (params["U"] * scale).mT
        outputs = hidden @ params["V"].mT
        return outputs.flatten(1), [Tap("U", x, hidden, scale), Tap("V", hidden, outputs, 1.0)]
