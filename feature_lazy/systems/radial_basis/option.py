"""Option ``architecture=rbf``: Gaussians around patterns, with one precision matrix that is learnt."""

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
    from feature_lazy.systems.radial_basis.network import RadialBasis

log = logging.getLogger(__name__)

FAR = -10.0
"""Median exponent below which Gaussians are numbers without a gradient."""


@option("architecture", "rbf")
class RbfOption(Architecture):
    """f = Σ w·exp(−½|Γ(x − c)|²)/√h over h centres c, with Γ = 1/√d at the start (arXiv:2307.05639)."""

    centres: str = key("learnt", "whether centres move", choices=("learnt", "fixed"))
    begin: str = key(
        "patterns",
        "centres at the start: training patterns that the seed draws, or their means by k-means",
        choices=("patterns", "kmeans"),
    )

    one_width = True
    unread: ClassVar = {"activation": "has Gaussians in its place"}

    def problems(self, config: Config) -> Iterator[str]:
        if config.h > config.dataset.n_train:
            yield (
                f"width.h={config.h}: centres are training patterns, of which there are dataset.n_train="
                f"{config.dataset.n_train}; use fewer centres or more patterns."
            )
        if config.parametrisation.exponents is not NTK:
            yield f"parametrisation={config.parametrisation.kind}: architecture=rbf is scaled as ntk alone; use ntk."

    def build(self, config: Config, data: Dataset) -> RadialBasis:
        from feature_lazy.systems.radial_basis.network import RadialBasis

        made = RadialBasis(
            data.x_train,
            config.h,
            fixed=self.centres == "fixed",
            means=self.begin == "kmeans",
            n_outputs=data.n_outputs,
        )
        if (exponent := made.typical_exponent()) < FAR:
            log.warning(
                "The median exponent of Gaussians between training patterns is %.3g: below %g they are 0 and have no "
                "gradient; divide patterns by their size.",
                exponent,
                FAR,
            )
        return made
