"""Option ``architecture=trukan``: a network whose edges are splines of truncated powers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from feature_lazy.networks.base import GaussianNetwork
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.systems.trukan.network import LearntKnots


@option("architecture", "trukan")
class TrukanOption(Architecture):
    """The Kolmogorov–Arnold network y_o = Σ_i Σ_b C_oib ψ_b(x_i)/√fan-in of truncated powers ψ (arXiv:2602.03879).

    ψ are 1, x, …, x^k and (x − t_m)₊^k, over their rms; x = tanh(y) between layers. With knots t that stay each layer
    is linear in its weights; h plays no part in a single one.
    """

    depth: int = key(2, "layers of splines, h units between two", ge=1)
    degree: int = key(3, "k of the splines", ge=1)
    knots: int = key(6, "K, knots between the ends, at equal distances where they begin", ge=1)
    range: float = key(3.0, "|x| up to which inputs of rms 1 are told apart; beyond it they are clamped", gt=0)
    learnt: bool = key(False, "whether knots move; their kernel is then by the Jacobian")
    sharing: str = key(
        "shared",
        "knots of each input of a layer, or of each pair of input and output",
        choices=("shared", "individual"),
    )

    one_width = True
    unread: ClassVar = {"activation": "has splines in its place"}
    check_widths = (32, 64, 128, 256)

    @property
    def hidden_layers(self) -> int:
        return self.depth

    def problems(self, config: Config) -> Iterator[str]:
        if self.sharing == "individual" and not self.learnt:
            yield (
                "architecture.sharing=individual: knots that stay are the same for all, so that this is the network of "
                "shared ones; set architecture.learnt=true."
            )
        if self.knots >= 24 and config.dtype == "float32":
            yield (
                f"architecture.knots={self.knots}: truncated powers of so many knots are nearly one another in "
                "float32; use dtype=float64 or fewer knots."
            )

    def build(self, config: Config, data: Dataset) -> GaussianNetwork | LearntKnots:
        from feature_lazy.systems.trukan.network import FixedKnots, LearntKnots, Splines

        splines = Splines(self.degree, self.knots, self.range)
        sizes = [data.input_dim, *[config.h] * (self.depth - 1), data.n_outputs]
        if self.learnt:
            return LearntKnots(splines, sizes, config.h, config.parametrisation.exponents, self.sharing == "individual")
        return FixedKnots(splines, sizes, config.h, config.parametrisation.exponents)
