"""Networks of splines of truncated powers, with knots that stay and with knots that are learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from feature_lazy.networks.base import GaussianNetwork, LayerShape, Tap
from feature_lazy.networks.layout import Layout, Params
from feature_lazy.networks.parametrisation import NTK, Exponents, Role


@dataclass(frozen=True)
class Splines:
    """ψ on [−1, 1]: 1, x, …, x^k and (x − t_m)₊^k for K knots between the ends.

    Attributes:
        degree: k.
        knots: K.
        range: inputs x of a network become x/range, and are clamped to [−1, 1].
    """

    degree: int
    knots: int
    range: float = 1.0

    @property
    def size(self) -> int:
        """k + 1 + K, functions of one input."""
        return self.degree + 1 + self.knots

    def equal(self, like: Tensor) -> Tensor:
        """Knots at equal distances, (K,)."""
        return torch.linspace(-1, 1, self.knots + 2, dtype=like.dtype, device=like.device)[1:-1]

    def inputs(self, x: Tensor) -> Tensor:
        """Patterns, inside the range."""
        return (x / self.range).clamp(-1, 1)

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
        powers = x[..., None] ** orders
        cut = (x[..., None] - (equal if knots is None else knots)).clamp(min=0) ** k
        return torch.cat([powers.expand(*cut.shape[:-1], k + 1), cut], dim=-1) / squares.sqrt()


def moved(steps: Tensor) -> Tensor:
    """Knots of K + 1 distances, which are softplus of these over their sum: ordered, inside (−1, 1), (…, K)."""
    ends = torch.nn.functional.softplus(steps).cumsum(-1)
    return 2 * ends[..., :-1] / ends[..., -1:] - 1


@dataclass(frozen=True)
class FixedKnots(GaussianNetwork):
    """y = C·ψ(x)/√(fan-in), layer by layer, x = tanh(y) between them, C ~ N(0, 1); knots at equal distances.

    Attributes:
        splines: ψ.
        sizes: of the input, of each layer between, and of the output.
        width: h.
        parametrisation: how weights are scaled with h.
    """

    splines: Splines
    sizes: Sequence[int]
    width: int
    parametrisation: Exponents = NTK
    layout: Layout = field(init=False)
    roles: dict[str, Role] = field(init=False)

    def __post_init__(self) -> None:
        pairs = list(pairwise(self.sizes))
        shapes = {f"W{layer}": (after, before * self.splines.size) for layer, (before, after) in enumerate(pairs)}
        roles = dict.fromkeys(shapes, Role.HIDDEN) | {"W0": Role.INPUT, f"W{len(pairs) - 1}": Role.OUTPUT}
        object.__setattr__(self, "layout", Layout(shapes))
        # A single layer knows no width.
        object.__setattr__(self, "roles", roles if len(pairs) > 1 else {})

    @property
    def n_outputs(self) -> int:  # type: ignore[override] - the last of the sizes
        return self.sizes[-1]

    @property
    def last_fan_in(self) -> int:
        """h, as a name of a single layer, which has none."""
        return self.width

    @property
    def layers(self) -> list[LayerShape]:
        return [LayerShape(fan_in, fan_out) for fan_out, fan_in in self.layout.shapes.values()]

    @property
    def activations_per_pattern(self) -> int:
        """All ψ of each layer's inputs, before and after they are scaled, and what the layer makes."""
        return 2 * sum(layer.fan_in for layer in self.layers) + 2 * sum(layer.fan_out for layer in self.layers)

    def taps(self, params: Params, x: Tensor) -> tuple[Tensor, list[Tap]]:
        """f(w, x) of shape (M, P·C), and each layer, dense in ψ."""
        taps: list[Tap] = []
        inputs = self.splines.inputs(x)
        for name, shape in self.layout.shapes.items():
            psi, scale = self.splines.basis(inputs).flatten(-2), self.gain(name) / math.sqrt(shape[1])
            f = psi @ (params[name] * scale).mT
            taps.append(Tap(name, psi, f, scale))
            inputs = f.tanh()
        return f.flatten(1), taps


@dataclass(frozen=True)
class LearntKnots:
    """The same with knots that are learnt, those of each input of a layer, or of each pair of input and output.

    Its weights are C, as W0, W1, …, and the distances of the knots before softplus, T0, T1, …, which begin as 0.

    Attributes:
        splines: ψ.
        sizes: of the input, of each layer between, and of the output.
        width: h.
        parametrisation: how weights are scaled with h.
        individual: whether each pair has its own knots.
    """

    splines: Splines
    sizes: Sequence[int]
    width: int
    parametrisation: Exponents = NTK
    individual: bool = False
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (before, after) in enumerate(pairwise(self.sizes)):
            shapes[f"W{layer}"] = (after, before * self.splines.size)
            shapes[f"T{layer}"] = (*((after,) if self.individual else ()), before, self.splines.knots + 1)
        object.__setattr__(self, "layout", Layout(shapes))

    @property
    def fixed(self) -> FixedKnots:
        """The network whose knots stay as they begin here."""
        return FixedKnots(self.splines, self.sizes, self.width, self.parametrisation)

    @property
    def n_outputs(self) -> int:
        """C."""
        return self.sizes[-1]

    @property
    def last_fan_in(self) -> int:
        """As without learning."""
        return self.width

    @property
    def activations_per_pattern(self) -> int:
        """As without learning, where pairs have knots of their own as many times as there are outputs."""
        times = max(self.sizes[1:]) if self.individual else 1
        return times * self.fixed.activations_per_pattern

    @property
    def forward_flops(self) -> float:
        """Of the products."""
        return self.fixed.forward_flops

    @property
    def signal_flops(self) -> float:
        """As many: knots of the first layer need signals of its ψ."""
        return self.fixed.forward_flops

    def init(self, seed: int) -> dict[str, Tensor]:
        """C as N(0, 1) from the seed's own stream, distances equal; float64."""
        begun = self.fixed.init(seed)
        shapes = self.layout.shapes.items()
        return {name: begun[name] if name in begun else torch.zeros(s, dtype=torch.float64) for name, s in shapes}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x) for patterns (P, d) or (M, P, d): (M, P·C)."""
        inputs, fixed = self.splines.inputs(x), self.fixed
        for layer, before in enumerate(self.sizes[:-1]):
            name, knots = f"W{layer}", moved(params[f"T{layer}"])
            weight = params[name] * (fixed.gain(name) / math.sqrt(before * self.splines.size))
            if self.individual:
                psi = self.splines.basis(inputs[..., None, :], knots[:, None])  # (M, P, out, in, ψ)
                f = torch.einsum("mpoib,moib->mpo", psi, weight.unflatten(2, (before, -1)))
            else:
                f = self.splines.basis(inputs, knots[:, None]).flatten(-2) @ weight.mT
            inputs = f.tanh()
        return f.flatten(1)
