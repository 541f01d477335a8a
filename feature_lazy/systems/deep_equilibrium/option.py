"""Option ``architecture=deq``: a network that is the fixed point of one layer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.networks.base import shared
from feature_lazy.networks.parametrisation import NTK
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.settings.config import Config
    from feature_lazy.systems.deep_equilibrium.network import DeepEquilibrium

log = logging.getLogger(__name__)

DEFAULT, CONTRACTION = 0.45, 0.5
"""σ_w·Lip(φ) by default; and from where on the layer need not contract: ‖W/√h‖ → 2 (Bai and Yin 1993)."""


@option("architecture", "deq")
class DeqOption(Architecture):
    """The deep equilibrium network z = σ_w·Wφ(z)/√h + σ_u·Ux/√d, f = σ_v·Vφ(z)/√h (arXiv:2310.10767)."""

    sigma_w: float = key(
        0.0, "σ_w, of the weight that all layers share; 0: 0.45 over the Lipschitz constant of φ", ge=0
    )
    sigma_u: float = key(1.0, "σ_u, of the weight of the pattern", gt=0)
    sigma_v: float = key(1.0, "σ_v, of the output", gt=0)
    depth: int = key(0, "layers; 0: infinitely many, the equilibrium", ge=0)
    solver: str = key(
        "iterate",
        "how the equilibrium is found; anderson: by combinations of the last five steps",
        choices=("iterate", "anderson"),
    )
    solver_tol: float = key(1e-12, "relative change of z at which it is found; at least ten roundings", gt=0)
    max_iter: int = key(500, "steps to it; a member that needs more has none, and ends as no_equilibrium", ge=1)
    gradient: str = key("implicit", "by the same iteration for the signals; there is no other", choices=("implicit",))
    unsafe: bool = key(False, "allow σ_w·Lip(φ) ≥ 1, where there may be several equilibria or none")

    one_width = True

    @property
    def hidden_layers(self) -> int:
        return self.depth or 1

    @property
    def no_limit(self) -> str:
        return ""

    def problems(self, config: Config) -> Iterator[str]:
        if config.parametrisation.exponents is not NTK:
            yield (
                f"parametrisation={config.parametrisation.kind}: architecture=deq is known in the ntk parametrisation "
                "alone; use ntk."
            )
        elif self.depth == 0 and not self.unsafe and (found := self._contraction(config)) >= 1:
            yield (
                f"architecture.sigma_w={self.sigma_w:g}: times the Lipschitz constant of activation="
                f"{config.activation.kind} it is {found:.3g}, and from 1 on an equilibrium need not be the only one, "
                "or exist; use a smaller sigma_w, activation.scale=critical, or architecture.unsafe=true."
            )

    def build(self, config: Config, data: Dataset) -> DeepEquilibrium:
        from feature_lazy.networks.implicit import Solver
        from feature_lazy.systems.deep_equilibrium.network import DeepEquilibrium

        common = shared(config, data)
        contraction = self._contraction(config)
        if self.depth == 0 and contraction >= CONTRACTION:
            log.warning(
                "σ_w times the Lipschitz constant of φ is %.3g: from %g on a wide layer need not contract; members "
                "whose solver does not converge end as no_equilibrium.",
                contraction,
                CONTRACTION,
            )
        return DeepEquilibrium(
            data.input_dim,
            config.h,
            common["activation"],
            sigmas=(contraction / common["activation"].lipschitz, self.sigma_u, self.sigma_v),
            solver=Solver(self.solver, self.solver_tol, self.max_iter),
            depth=self.depth,
            n_outputs=common["n_outputs"],
        )

    def _contraction(self, config: Config) -> float:
        """σ_w·Lip(φ)."""
        from feature_lazy.networks.activations import scaled

        return self.sigma_w * scaled(config.activation).lipschitz if self.sigma_w else DEFAULT
