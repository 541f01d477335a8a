"""Newton's method under gradient-normalised smoothness, an option of the group ``dynamics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.settings.groups import Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.systems.gradient_normalised_smoothness.parts import FISHER, GGN, HESSIAN, NONE

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config


@option("dynamics", "gradient_normalised")
class GradientNormalised(Dynamics):
    """w ← w − (H + λ)⁻¹∇𝓛, λ = ‖∇𝓛‖/γ, on all patterns; t = accepted steps.

    A step is accepted if 𝓛 falls by ‖∇𝓛‖²/(8λ) at least, of the gradient after it; γ is then doubled, and halved
    before another is tried, 40 times at most, if not. No step is longer than γ where H has no negative eigenvalue.
    H is the Gauss–Newton matrix, the
    empirical Fisher matrix, none, for a normalised gradient step, or the Hessian, whose steps are not accepted where
    H + λ is not positive definite (Semenov, Jaggi and Doikov 2025, algorithm 1).
    """

    curvature: str = key(
        GGN,
        "H: ggn, Gauss–Newton; fisher, empirical Fisher; none; hessian, by conjugate gradients",
        choices=(GGN, FISHER, NONE, HESSIAN),
    )
    gamma: float = key(1.0, "γ of the first trial, a length of w; any is found by doubling and halving", gt=0)
    updates: int = key(1000, "where training ends at the latest", ge=1)

    def problems(self, config: Config) -> Iterator[str]:
        own = "dynamics=gradient_normalised"
        if not config.loss.smooth:
            yield f"{own}: loss={config.loss.kind} has a kink, where no step is small enough; use a loss without."
        if config.regulariser.kind != "none":
            yield f"{own}: H has no part for regulariser={config.regulariser.kind}; use none."

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.systems.gradient_normalised_smoothness.update import prepare

        return prepare(self, flow, w0)
