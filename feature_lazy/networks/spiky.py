"""Activation ``spiky_relu``: ReLU with a fast small wave, whose kernel is that of ReLU and a spike."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.networks.activations import relu_dual
from feature_lazy.settings.groups import Activation
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config

FASTEST = 1e3
"""ω from which on float32 knows the phase ωz of the wave to three digits and less; a precaution."""


@option("activation", "spiky_relu")
class SpikyRelu(Activation):
    """a·(max(0, z) + A(sin ωz + cos ωz)): a kernel with a spike of width 1/ω (arXiv:2305.14077).

    Its height is A²(1 + ω²) in one hidden layer without biases.
    Off the training patterns the spike is gone, so that to interpolate with it is to regress without it, with a ridge
    of its height. On the sphere the spike of the NNGP kernel is A²e^{−ω²(1 − ξ)}.
    """

    amplitude: float = key(0.01, "A of A(sin ωz + cos ωz)", ge=0)
    frequency: float = key(100.0, "ω; 1/ω must be far below the distance of patterns", gt=0)

    smooth = False

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.frequency >= FASTEST and config.dtype == "float32":
            yield (
                f"activation.frequency={self.frequency:g}: in float32 the wave's phase has three digits and less; use "
                f"dtype=float64, or a frequency below {FASTEST:g}."
            )

    @property
    def moment(self) -> float:
        """From the dual at ρ = 1."""
        import torch

        one = torch.ones((), dtype=torch.float64)
        return float(self.dual(one, one, one)[0])

    @property
    def steepest(self) -> float:
        """1 + √2·Aω: the wave's slope on the side where ReLU has its own."""
        return 1 + math.sqrt(2) * self.amplitude * self.frequency

    @property
    def spike(self) -> float:
        """Height of the spike in the tangent kernel of one hidden layer on the sphere, before φ is scaled."""
        return self.amplitude**2 * (1 + self.frequency**2)

    def dual(self, q1: Tensor, q2: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """That of ReLU, A² and A²ω² times e^{−ω² Var(u − v)/2}, and what a ReLU and a wave make; see ``Dual``."""
        square = self.frequency**2
        apart = (q1.sqrt() - q2.sqrt()) ** 2 + 2 * (q1 * q2).sqrt() * (1 - rho)
        spike = self.amplitude**2 * (-square * apart / 2).exp()
        mixed = [self._mixed(*sides, rho) for sides in ((q1, q2), (q2, q1))]
        values, slopes = relu_dual(q1, q2, rho)
        return values + spike + mixed[0][0] + mixed[1][0], slopes + square * spike + mixed[0][1] + mixed[1][1]

    def _mixed(self, p: Tensor, q: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """E max(0, u)·wave(v) and E 1(u > 0)·wave′(v), for variances p and q: Gaussian integrals over a half line.

        With D, Dawson's integral, and s = ωρ√(q/2): ∫₀^∞ z e^{−z²/2} sin(√2 s z) dz and the like.
        """
        import torch
        from scipy.special import dawsn

        a, big = self.frequency, self.amplitude
        s = a * rho * (q / 2).sqrt()
        dawson = torch.as_tensor(dawsn(s.detach().cpu().double().numpy())).to(s)
        near, far = (-(a**2) * q * (1 - rho**2) / 2).exp(), (-(a**2) * q / 2).exp()
        value = near * p.sqrt() * (1 / math.sqrt(2 * math.pi) - math.sqrt(2 / math.pi) * s * dawson)
        value = value + far * p.sqrt() * s / math.sqrt(2)
        return big * value, big * a * (far / 2 - near * dawson / math.sqrt(math.pi))

    def shape(self, z: Tensor) -> Tensor:
        wave = self.frequency * z
        return z.relu() + self.amplitude * (wave.sin() + wave.cos())
