"""Option ``architecture=trukan``: a network whose edges are splines of truncated powers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from feature_lazy.networks.parametrisation import NTK
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.systems.trukan.network import FixedKnots, LearntKnots

log = logging.getLogger(__name__)

MOST = 24
"""Knots from which on the condition of cubic ψ is beyond float32's digits: 2·10⁶ in an independent calculation."""
FEW = 0.01
"""Share of numbers in training patterns that may lie outside of the range without a warning."""


@option("architecture", "trukan")
class TrukanOption(Architecture):
    """y_o = Σ_i Σ_b C_oib ψ_b(x_i)/√fan-in of truncated powers ψ in each layer, x = tanh(y) between (arXiv:2602.03879).

    ψ are 1, x, …, x^k and (x − t_m)₊^k over their rms. Layers whose knots t stay are linear in their weights C, and a
    single one, depth=0, is so in all: h plays no part in it.
    """

    depth: int = key(1, "L, hidden layers of h units; there are L + 1 layers of splines", ge=0)
    degree: int = key(3, "k of the splines", ge=1)
    knots: int = key(6, "K, between the ends of the range, at equal distances where they begin", ge=1)
    range: float = key(3.0, "largest |x| of what is told apart in a pattern; what lies beyond is clamped", gt=0)
    learnt: bool = key(False, "whether knots move too, in their order; the kernel is then by the Jacobian")
    sharing: str = key(
        "shared",
        "learnt knots are those of each input of a layer, or of each pair of input and output",
        choices=("shared", "individual"),
    )

    one_width = True
    unread: ClassVar = {"activation": "has splines in its place"}
    check_widths = (32, 64, 128, 256)

    @property
    def hidden_layers(self) -> int | None:
        return None if self.learnt else self.depth

    def problems(self, config: Config) -> Iterator[str]:
        if self.sharing == "individual" and not self.learnt:
            yield (
                "architecture.sharing=individual: knots that stay are the same for all, so that this is the network of "
                "shared ones; set architecture.learnt=true."
            )
        if config.parametrisation.exponents is not NTK and (self.learnt or not self.depth):
            yield (
                f"parametrisation={config.parametrisation.kind}: learnt knots, and a single layer, are scaled as ntk "
                "alone; use ntk."
            )
        if self.knots >= MOST and config.dtype == "float32":
            yield (
                f"architecture.knots={self.knots}: truncated powers of so many knots are nearly one another in "
                f"float32; use dtype=float64, or fewer than {MOST} knots."
            )

    def build(self, config: Config, data: Dataset) -> FixedKnots | LearntKnots:
        from feature_lazy.systems.trukan.network import FixedKnots, LearntKnots, Splines

        if (outside := float((data.x_train.abs() > self.range).double().mean())) > FEW:
            log.warning(
                "%.0f %% of the numbers in training patterns are outside of architecture.range=%g and are clamped to "
                "it; raise it, or divide patterns by their size.",
                100 * outside,
                self.range,
            )
        sizes = [data.input_dim, *[config.h] * self.depth, data.n_outputs]
        splines, scale = Splines(self.degree, self.knots), config.parametrisation.exponents
        fixed = FixedKnots(splines, sizes, config.h, self.range, scale)
        return LearntKnots(fixed, self.sharing == "individual") if self.learnt else fixed
