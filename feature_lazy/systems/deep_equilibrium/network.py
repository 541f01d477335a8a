"""The deep equilibrium network: infinitely many layers that share one weight, or the first of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap
from feature_lazy.networks.implicit import HISTORY, Solver, equilibrium
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.limits.equilibrium import equilibrium_kernels
from feature_lazy.networks.limits.infinite import InfiniteKernels
from feature_lazy.networks.parametrisation import Role
from feature_lazy.networks.places import Places, marked

DEFAULT = Solver()


@dataclass(frozen=True)
class DeepEquilibrium(GaussianNetwork):
    """z = σ_w·W¹φ(z)/√h + σ_u·W⁰x/√d, f = σ_v·W²φ(z)/√h, every weight ~ N(0, 1) (arXiv:2310.10767).

    The exact kernel needs no unrolling: with the signal b of the equilibrium (``networks.implicit``) it is that of
    three dense layers, Θ = σ_v²φ·φ′/h + (b·b′)(σ_w²φ·φ′/h + σ_u²x·x′/d).

    Attributes:
        input_dim: d.
        width: h.
        activation: φ.
        sigmas: σ_w, σ_u, σ_v.
        solver: of the equilibrium, and of its signals.
        depth: layers, from z = 0; 0: the equilibrium.
        n_outputs: C.
    """

    input_dim: int
    width: int
    activation: Scaled
    sigmas: tuple[float, float, float]
    solver: Solver = DEFAULT
    depth: int = 0
    n_outputs: int = 1
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        h = self.width
        shapes = {"W0": (h, self.input_dim), "W1": (h, h), "W2": (self.n_outputs, h)}
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", dict(zip(shapes, (Role.INPUT, Role.HIDDEN, Role.OUTPUT), strict=True)))

    @property
    def implicit(self) -> bool:
        """See ``networks.base.Implicit``."""
        return self.depth == 0

    @property
    def last_fan_in(self) -> int:
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        shared = LayerShape(self.width, self.width, self.depth or 1)
        return [LayerShape(self.input_dim, self.width), shared, LayerShape(self.width, self.n_outputs)]

    @property
    def forward_flops(self) -> float:
        """With as many steps of the solver as a contraction by σ_w·Lip(φ) would take, short of 1."""
        if not self.implicit:
            return super().forward_flops
        rate = min(self.sigmas[0] * self.activation.lipschitz, 0.9)
        steps = min(self.solver.max_iter, math.ceil(math.log(self.solver.tol) / math.log(rate)) if rate > 0 else 1)
        return super().forward_flops + (max(steps, 1) - 1) * self.layers[1].flops

    @property
    def activations_per_pattern(self) -> int:
        """A preactivation, an activation and what is added for each layer; what Anderson's method keeps."""
        kept = 2 * HISTORY if self.implicit and self.solver.kind == "anderson" else 0
        return (3 * (self.depth or 1) + kept) * self.width + self.n_outputs

    def limit(self, x1: Tensor, x2: Tensor | None = None) -> InfiniteKernels:
        return equilibrium_kernels(self.activation, self.sigmas, x1, x2, depth=self.depth)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and its three layers, of which the first two make one z."""
        in_w, in_u, in_v = (
            sigma / math.sqrt(fan_in)
            for sigma, fan_in in zip(self.sigmas, (self.width, self.input_dim, self.width), strict=True)
        )
        injected, zeros = marked(x @ (params["W0"] * in_u).mT)
        if self.implicit:
            z = equilibrium(injected, params["W1"] * in_w, self.activation, self.solver)
            u = self.activation(z)
            second = Tap("W1", u, z, in_w, added=(zeros,))
        else:
            weight, u = Places("W1", params["W1"], in_w), torch.zeros_like(injected)
            for _ in range(self.depth):
                z = weight.at(u, injected)
                u = self.activation(z)
            second = weight.tap()
        f = u @ (params["W2"] * in_v).mT
        return f.flatten(1), [Tap("W0", x, z, in_u, added=(zeros,)), second, Tap("W2", u, f, in_v)]
