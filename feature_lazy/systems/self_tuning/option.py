"""Self-tuning, an option of the group ``dynamics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.settings.groups import Dynamics
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config

STRENGTH = "strength"
"""What can be tuned: λ of the regulariser."""


@option("dynamics", "self_tuning")
class SelfTuning(Dynamics):
    """Gradient descent of weights that know how they answer to λ of the regulariser, and of λ on the validation loss.

    ŵ(ln λ + ε) = w + εv, ε of mean 0 and standard deviation σ: w and v go down 𝓛 at λe^ε, and ln λ and ln σ down the
    validation loss less τ ln σ, in turn (MacKay et al. 2019, with an answer to one hyperparameter); t = lr × updates,
    as of sgd. λ begins as ``regulariser.strength``, v as 0.
    """

    tune: list[str] = key([STRENGTH], "what is tuned: strength, λ of the regulariser", choices=(STRENGTH,))
    lr: float = key(0.1, "learning rate of weights, in the article's t", gt=0)
    tune_lr: float = key(0.1, "learning rate of ln λ and ln σ, on the validation loss", gt=0)
    train_steps: int = key(5, "updates of the weights for each of λ", ge=1)
    entropy: float = key(1e-3, "τ: σ is where τ is σ² times the bend of the validation loss; 0: σ stays", ge=0)
    scale: float = key(0.5, "σ at the beginning, and at most: beyond, an answer is no line", gt=0)
    updates: int = key(10_000, "updates of the weights, where training ends", ge=1)
    check_every: int = key(100, "updates between two looks at the whole training set", ge=1)

    validates = True

    @classmethod
    def smallest(cls) -> list[str]:
        return ["loss=mse", "regulariser=distance", "dataset.n_valid=10", "dynamics.check_every=1"]

    def problems(self, config: Config) -> Iterator[str]:
        strength = getattr(config.regulariser, STRENGTH, 0.0)
        if not self.tune:
            yield "dynamics.tune=[]: names nothing to tune; set dynamics.tune=[strength], or use dynamics=sgd."
        if not strength:
            yield (
                f"dynamics.tune=[{STRENGTH}]: the loss does not depend on it with "
                f"regulariser={config.regulariser.kind}; use regulariser=distance, or another."
            )
        elif self.lr * strength >= 1:
            yield (
                f"dynamics.lr={self.lr:g}: times regulariser.strength={strength:g} must be below 1, or an update takes "
                "weights beyond what pulls them."
            )
        if not config.dataset.n_valid:
            yield "dynamics=self_tuning: there is no validation set to tune on; set dataset.n_valid."
        if not config.loss.smooth:
            yield f"dynamics=self_tuning: loss={config.loss.kind} has kinks, where an answer jumps; use loss=mse."
        if config.centred == "parent":
            yield "centred=parent: dynamics=self_tuning does not know F of the parent; use centred=false."

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        from feature_lazy.systems.self_tuning.update import prepare

        return prepare(self, flow, w0)
