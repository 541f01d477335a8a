"""Networks of splines of truncated powers, with knots that stay and with knots that are learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap, dense_layers
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role


@dataclass(frozen=True)
class Splines:
    """ψ on [−1, 1]: 1, x, …, x^k and (x − t_m)₊^k for K knots t_m between the ends.

    Attributes:
        degree: k.
        knots: K.
    """

    degree: int
    knots: int

    @property
    def size(self) -> int:
        """k + 1 + K, functions of one input."""
        return self.degree + 1 + self.knots

    def equal(self, like: Tensor) -> Tensor:
        """Knots at equal distances, (K,)."""
        return torch.linspace(-1, 1, self.knots + 2, dtype=like.dtype, device=like.device)[1:-1]

    def basis(self, x: Tensor, knots: Tensor | None = None) -> Tensor:
        """ψ(x), (…, k + 1 + K), over the rms on [−1, 1] that each has with equal knots.

        Args:
            x: inside [−1, 1], (…).
            knots: t, (…, K) that broadcast with x; equal ones if omitted.
        """
        k, equal = self.degree, self.equal(x)
        orders = torch.arange(k + 1, dtype=x.dtype, device=x.device)
        # ∫ x^{2j}/2 and ∫ (x − t)₊^{2k}/2 over [−1, 1].
        squares = torch.cat([1 / (2 * orders + 1), (1 - equal) ** (2 * k + 1) / (4 * k + 2)])
        cut = (x[..., None] - (equal if knots is None else knots)).clamp(min=0) ** k
        powers = (x[..., None] ** orders).expand(*cut.shape[:-1], k + 1)
        return torch.cat([powers, cut], dim=-1) / squares.sqrt()


def moved(steps: Tensor) -> Tensor:
    """Knots of K + 1 distances, softplus of these over their sum: in their order and inside [−1, 1], (…, K)."""
    ends = torch.nn.functional.softplus(steps).cumsum(-1)
    return 2 * ends[..., :-1] / ends[..., -1:] - 1


@dataclass(frozen=True)
class FixedKnots(GaussianNetwork):
    """y = C·ψ(x)/√fan-in, layer by layer, C ~ N(0, 1), with x = tanh(y) between them; knots at equal distances.

    Attributes:
        splines: ψ, of which the fan-in of a layer has k + 1 + K for each of its inputs.
        sizes: of the input, of each layer between, and of the output.
        width: h.
        range: a pattern x becomes x/range, clamped to [−1, 1].
        parametrisation: how weights are scaled with h.
    """

    splines: Splines
    sizes: Sequence[int]
    width: int
    range: float = 1.0
    parametrisation: Exponents = NTK
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        """Lay out W0 … WL, (fan-out, fan-in)."""
        pairs = list(pairwise(self.sizes))
        shapes = {f"W{layer}": (after, before * self.splines.size) for layer, (before, after) in enumerate(pairs)}
        roles = dict.fromkeys(shapes, Role.HIDDEN) | {"W0": Role.INPUT, f"W{len(pairs) - 1}": Role.OUTPUT}
        object.__setattr__(self, "layout", Layout(shapes))
        object.__setattr__(self, "roles", roles)

    @property
    def n_outputs(self) -> int:  # type: ignore[override] - the last of the sizes
        return self.sizes[-1]

    @property
    def last_fan_in(self) -> int:
        """h; of a single layer, whose fan-in is of the data, a name alone."""
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        return dense_layers(self.layout)

    @property
    def activations_per_pattern(self) -> int:
        """All ψ of each layer's inputs, before and after they are scaled, and what the layer makes of them."""
        return sum(2 * layer.fan_in + 2 * layer.fan_out for layer in self.layers)

    def inside(self, x: Tensor) -> Tensor:
        """Patterns x/range, clamped to [−1, 1]: beyond it truncated powers would grow as x^k."""
        return (x / self.range).clamp(-1, 1)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and each layer, dense in ψ."""
        taps: list[Tap] = []
        inputs = self.inside(x)
        for name, shape in self.layout.shapes.items():
            psi, scale = self.splines.basis(inputs).flatten(-2), self.gain(name) / math.sqrt(shape[1])
            f = psi @ (params[name] * scale).mT
            taps.append(Tap(name, psi, f, scale))
            inputs = f.tanh()
        return f.flatten(1), taps


@dataclass(frozen=True)
class LearntKnots:
    """A network whose knots are learnt too, those of each input of a layer, or of each pair of input and output.

    Before each W… stands as T… what softplus makes the distances between its knots of; it begins as 0, at equal ones.

    Attributes:
        fixed: the network with the knots of the start.
        individual: whether each pair has its own knots.
    """

    fixed: FixedKnots
    individual: bool = False
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        """Lay out W… as they are, before each T…, ([fan-out,] inputs, K + 1): knots are no part of ``Layout.last``."""
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (before, after) in enumerate(pairwise(self.fixed.sizes)):
            own = (after,) if self.individual else ()
            shapes[f"T{layer}"] = (*own, before, self.fixed.splines.knots + 1)
            shapes[f"W{layer}"] = self.fixed.layout.shapes[f"W{layer}"]
        object.__setattr__(self, "layout", Layout(shapes))

    @property
    def n_outputs(self) -> int:
        return self.fixed.n_outputs

    @property
    def last_fan_in(self) -> int:
        return self.fixed.last_fan_in

    @property
    def activations_per_pattern(self) -> int:
        """As without learning, where pairs have knots of their own as many times as there are outputs."""
        return self.fixed.activations_per_pattern * (max(self.fixed.sizes[1:]) if self.individual else 1)

    @property
    def forward_flops(self) -> float:
        return self.fixed.forward_flops

    @property
    def signal_flops(self) -> float:
        """As forward: knots of the first layer too need signals at its ψ."""
        return self.fixed.forward_flops

    def init(self, seed: int) -> dict[str, Tensor]:
        """C as without learning, distances equal; float64."""
        begun = self.fixed.init(seed)
        equal = {n: torch.zeros(s, dtype=torch.float64) for n, s in self.layout.shapes.items() if n not in begun}
        return {name: (begun | equal)[name] for name in self.layout.shapes}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x) for patterns (P, d) or (M, P, d): (M, P·C)."""
        splines, inputs = self.fixed.splines, self.fixed.inside(x)
        for layer, before in enumerate(self.fixed.sizes[:-1]):
            weight, knots = params[f"W{layer}"] / math.sqrt(before * splines.size), moved(params[f"T{layer}"])
            if self.individual:
                psi = splines.basis(inputs[..., None, :], knots[:, None])  # (M, P, fan-out, inputs, ψ)
                f = torch.einsum("mpoib,moib->mpo", psi, weight.unflatten(2, (before, -1)))
            else:
                f = splines.basis(inputs, knots[:, None]).flatten(-2) @ weight.mT
            inputs = f.tanh()
        return f.flatten(1)
