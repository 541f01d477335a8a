"""Newton's method under gradient-normalised smoothness, an option of the group ``dynamics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Dynamics, Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.systems.gradient_normalised_smoothness.parts import FISHER, GGN, HESSIAN, NONE

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

COLUMNS = GAMMA, LAMBDA, TRIALS, STEP = "gns/gamma", "gns/lambda", "gns/trials", "gns/step"
"""What a state says of the step that led to it, in this order."""
SOURCE, THEME = "arXiv:2506.13710", "Gradient-normalised smoothness"


@option("dynamics", "gradient_normalised")
class GradientNormalised(Dynamics):
    """w ← w − (H + λ)⁻¹∇𝓛, λ = ‖∇𝓛‖/γ, on all patterns; t = accepted steps.

    A step is accepted if 𝓛 falls by ‖∇𝓛‖²/(8λ) at least, of the gradient after it; γ is then doubled, and halved
    before another is tried, 40 times at most, if not. No step is longer than γ. H is the Gauss–Newton matrix, the
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


@option("observe/also", "gns")
class Smoothness(Observable):
    """γ and λ of the last step of dynamics=gradient_normalised, its trials and its length ‖Δw‖; 0 at t = 0."""

    quantities: ClassVar[Any] = {
        GAMMA: Quantity("gradient-normalised smoothness γ of a step", where=SOURCE, theme=THEME),
        LAMBDA: Quantity("λ = ‖∇𝓛‖/γ of a step", where=SOURCE, theme=THEME),
        TRIALS: Quantity("trials of a step", scale="linear", where=SOURCE, theme=THEME),
        STEP: Quantity("length of a step ‖Δw‖", where=SOURCE, theme=THEME),
    }

    @classmethod
    def smallest(cls) -> list[str]:
        return ["dynamics=gradient_normalised"]

    def problems(self, config: Config) -> Iterator[str]:
        if not isinstance(config.dynamics, GradientNormalised):
            yield f"observe/also=[gns]: dynamics={config.dynamics.kind} has no γ; use dynamics=gradient_normalised."

    def at(self, moment: Moment) -> dict[str, Tensor]:
        """See ``Observable.at``.

        Raises:
            ConfigError: a moment of stored weights, which say nothing of the steps between.
        """
        if not moment.told:
            raise ConfigError("observe/also=[gns]: weights do not say how they were reached; train anew with it.")
        return dict(moment.told)
