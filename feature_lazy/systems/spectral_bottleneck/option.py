"""Option ``architecture=siren``: networks of sines, with WINNER's noise on their first weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from feature_lazy.data.rules import listed
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.systems.spectral_bottleneck.data import Signal, centroid

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.systems.spectral_bottleneck.network import Siren

SCHEDULES = {"audio": (3500.0, 7.0, 3.0), "image": (50.0, 5.0, 0.4), "scaled": (math.nan, 5.0, 0.4)}
"""s_max, a and b of s₀ = s_max(1 − e^{−aψ}) and s₁ = bψ. The paper's text has a = 5 for audio, the authors' code 7; of
``scaled`` s_max is half of the highest frequency that a grid of P samples resolves, πP/4."""


@option("architecture", "siren")
class SirenOption(Architecture):
    """xˡ⁺¹ = sin(ω(Wˡxˡ + Bˡ)) with a linear output, in its own scale (arXiv:2006.09661, 2509.09719).

    WINNER adds noise to the first weights, N(0, (s₀/ω)²) to W⁰ and N(0, (s₁/ω)²) to W¹, as the centroid ψ of the
    target's spectrum says: s₀ = s_max(1 − e^{−aψ}), s₁ = bψ. Weights have no 1/√h, so that √h·α is a name alone.
    """

    depth: int = key(3, "L, hidden layers", ge=2)
    omega: float = key(30.0, "ω", gt=0)
    perturb: str = key(
        "none",
        "WINNER's s_max, a and b: of sound, of images, or with s_max half of the highest frequency of the grid",
        choices=("none", *SCHEDULES),
    )
    constants: list[float] = key([], "your own s_max, a and b, in place of those of perturb", ge=0)
    per_width: bool = key(False, "divide s₁ by √h, so that its effect does not grow with the width")

    unread: ClassVar = {"activation": "has sines in its place", "parametrisation": "scales its own weights"}

    @property
    def growing(self) -> int:
        return self.depth

    @property
    def hidden_layers(self) -> int:
        return self.depth

    def problems(self, config: Config) -> Iterator[str]:
        if self.perturb != "none" and not isinstance(config.dataset, Signal):
            yield (
                f"architecture.perturb={self.perturb}: goes by the spectrum of samples in their order, which "
                f"dataset={config.dataset.kind} does not have; use dataset=signal, with dataset.path for your own."
            )
        if self.constants and (self.perturb == "none" or len(self.constants) != 3):
            yield (
                f"architecture.constants={listed(self.constants)}: must be s_max, a and b, in place of those of "
                "architecture.perturb, which is not to be none."
            )

    def noise(self, samples: int, psi: float, h: int) -> tuple[float, float]:
        """s₀ and s₁ for a signal of P samples whose spectrum has the centroid ψ."""
        if self.perturb == "none":
            return 0.0, 0.0
        most, a, b = self.constants or SCHEDULES[self.perturb]
        most = math.pi * samples / 4 if math.isnan(most) else most
        return most * -math.expm1(-a * psi), b * psi / (math.sqrt(h) if self.per_width else 1.0)

    def build(self, config: Config, data: Dataset) -> Siren:
        from feature_lazy.systems.spectral_bottleneck.network import Siren

        widths = config.width.of(self.growing)
        y = data.y_train.double().cpu().numpy()
        noise = self.noise(len(y), centroid(y) if self.perturb != "none" else 0.0, widths[0])
        return Siren(data.input_dim, widths, self.omega, noise, data.n_outputs)

    @classmethod
    def smallest(cls) -> list[str]:
        signal = ["dataset=signal", "dataset.n_test=8", "labels=regression", "loss=mse"]
        return [*signal, "architecture.perturb=scaled"]
