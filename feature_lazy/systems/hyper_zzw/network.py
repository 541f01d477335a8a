"""Kernels of a whole image that a slow network makes, and their product with what they meet."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from feature_lazy.core.streams import stream
from feature_lazy.networks.activations import Scaled
from feature_lazy.networks.geometry import ImageShape
from feature_lazy.networks.layout import Layout, Params

POOLED = 4
"""Positions, 2 × 2, that images are averaged to before the output."""
SMALL = 1e-5
"""Added to the variance of a channel over an image, as libraries do."""


@dataclass(frozen=True)
class HyperZzw:
    """One global branch of HyperZZW (arXiv:2401.17948): what is O(1) in it stays so at any number of channels h.

    With images x, (C, s, s), and products of matrices over rows and columns, channel by channel,

    Z = φ(W⁰x/√C + B⁰), Z′ = W¹Z/√h, O = (Z ⊙ K)Z′/√s, f = W²·pooled(φ((O − mean)/sd))/√(4h);

    without ``context`` O = KZ′/√s. mean and sd are of a channel over its image. K is a table of h·s² weights, or of a
    slow network of coordinates c ∈ [−1, 1]²: K = C g₁/√m, g₁ = sin(S¹c) ⊙ (M¹g₀/√m + 1), g₀ = sin(S⁰c), with m units;
    a row of Sⁱ begins as 2πω₀γ times N(0, 1), γ ~ Γ(6/(i + 1)), all else as N(0, 1), and B⁰ as 0. O is of degree two in
    Z. Left out are what is no function of one image, the batch's statistics, and what joins several blocks.

    Attributes:
        image_shape: (C, s, s).
        width: h, channels.
        activation: φ.
        n_outputs: of the dense layer.
        hidden: m; 0: K is a table.
        omega: ω₀.
        context: whether K meets Z.
    """

    image_shape: ImageShape
    width: int
    activation: Scaled
    n_outputs: int = 1
    hidden: int = 8
    omega: float = 0.1
    context: bool = True
    layout: Layout = field(init=False)

    def __post_init__(self) -> None:
        h, m, (channels, side, _) = self.width, self.hidden, self.image_shape
        slow = {"S0": (m, 2), "S1": (m, 2), "M1": (m, m), "C1": (h, m)} if m else {"K1": (h, side, side)}
        own = {"W0": (h, channels), "B0": (h,), **slow, "W1": (h, h), "W2": (self.n_outputs, self.last_fan_in)}
        object.__setattr__(self, "layout", Layout(own))

    @property
    def last_fan_in(self) -> int:
        return POOLED * self.width

    @property
    def activations_per_pattern(self) -> int:
        """Z, Z′ and O, each before and after what is done to it."""
        return 6 * self.width * self.image_shape[1] ** 2 + self.last_fan_in

    @property
    def forward_flops(self) -> float:
        h, (channels, side, _) = self.width, self.image_shape
        return 2.0 * h * side**2 * (channels + h + side) + 2.0 * self.n_outputs * self.last_fan_in

    @property
    def signal_flops(self) -> float:
        return self.forward_flops

    def init(self, seed: int) -> dict[str, Tensor]:
        """N(0, 1), each weight from the seed's own stream, but for B⁰ = 0 and the frequencies; float64."""
        begun = {}
        for name, shape in self.layout.shapes.items():
            random = stream(seed, "initialisation", name)
            begun[name] = torch.from_numpy(random.standard_normal(shape))
            if name.startswith("S"):
                gamma = random.gamma(6 / (int(name[1:]) + 1), size=(shape[0], 1))
                begun[name] *= 2 * math.pi * self.omega * torch.from_numpy(gamma)
        begun["B0"].zero_()
        return begun

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """f(w, x), (M, P·C), as ``Network.apply`` gives it."""
        images = x.unflatten(-1, self.image_shape).expand(len(params["W0"]), *x.shape[-2:-1], *self.image_shape)
        z = torch.einsum("mhc,mpcij->mphij", params["W0"], images)
        z = self.activation(z / math.sqrt(self.image_shape[0]) + params["B0"][:, None, :, None, None])
        met = self.activation(_standardised(self.meet(params, z)))
        pooled = torch.nn.functional.adaptive_avg_pool2d(met.flatten(0, -4), 2).unflatten(0, met.shape[:-3])
        return (pooled.flatten(2) @ params["W2"].mT / math.sqrt(self.last_fan_in)).flatten(1)

    def meet(self, params: Params, z: Tensor) -> Tensor:
        """O of Z, (M, P, h, s, s)."""
        other = torch.einsum("mhg,mpgij->mphij", params["W1"], z) / math.sqrt(self.width)
        kernel = self.kernel(params)[:, None]
        return (z * kernel if self.context else kernel) @ other / math.sqrt(z.shape[-1])

    def kernel(self, params: Params) -> Tensor:
        """K, (M, h, s, s)."""
        if not self.hidden:
            return params["K1"]
        side, root = self.image_shape[1], math.sqrt(self.hidden)
        line = torch.linspace(-1, 1, side, dtype=params["C1"].dtype, device=params["C1"].device)
        c = torch.stack(torch.meshgrid(line, line, indexing="ij")).flatten(1)
        g = (params["S1"] @ c).sin() * (params["M1"] @ (params["S0"] @ c).sin() / root + 1)
        return (params["C1"] @ g / root).unflatten(-1, (side, side))


def _standardised(images: Tensor) -> Tensor:
    """Each channel of each image less its mean, over its standard deviation."""
    apart = images - images.mean(dim=(-2, -1), keepdim=True)
    return apart / (apart.square().mean(dim=(-2, -1), keepdim=True) + SMALL).sqrt()
