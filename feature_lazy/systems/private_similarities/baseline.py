"""Baseline ``private_similarity``: the class whose records are nearest in the mean, by sums that are released once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config
    from feature_lazy.study.baselines.kernels import KernelSet

UNTRAINED = ("linear", "start", "hidden_start")
"""Kernels that do not depend on the training set."""


@option("baseline", "private_similarity")
class PrivateSimilarity(Baseline):
    """The class with the least mean ‖z − y‖² over its records, by sums under (ε, δ)-privacy (arXiv:2403.08917).

    Features are scaled to norm 1. Each class's sum and count are released by the Gaussian mechanism, and a record is of
    one class. The seed of the noise is known here, so that a figure can be made again: what is computed says how well a
    release does, and is none.
    """

    epsilon: str = key("1", "ε > 0; inf: no noise")
    delta: float = key(1e-5, "δ", gt=0)
    records: str = key("train", "private records: train or valid", choices=("train", "valid"))
    draw: int = key(0, "which noise", ge=0)

    def problems(self, config: Config) -> Iterator[str]:
        if not self.delta < 1:
            yield f"private_similarity delta={self.delta:g}: must be below 1."
        if config.labels.real:
            yield f"private_similarity: labels={config.labels.kind} are real, and it tells classes apart; take krr."
        if self.records == "valid" and not config.dataset.n_valid:
            yield "private_similarity records=valid: the runs have no validation patterns; train with dataset.n_valid."

    def remarks(self, config: Config, kernel: str) -> Iterator[str]:
        from feature_lazy.data.synthetic import Law

        if self.budget == float("inf"):
            yield f"private_similarity on {kernel}: no privacy guarantee, without noise."
        if kernel not in UNTRAINED and (self.records == "train" or config.dynamics.validates):
            yield (
                f"private_similarity on {kernel}: no privacy guarantee, since the network has seen the records; take "
                "--records valid, of runs with dataset.n_valid and a dynamics that does not look at it."
            )
        if not isinstance(config.dataset, Law):
            yield (
                f"private_similarity on {kernel}: no privacy guarantee, since dataset={config.dataset.kind} centres "
                "patterns by the mean of all, the records among them."
            )

    @property
    def budget(self) -> float:
        """ε.

        Raises:
            ConfigError: no number above 0.
        """
        try:
            epsilon = float(self.epsilon)
        except ValueError:
            epsilon = 0.0
        if not epsilon > 0:
            raise ConfigError(f"private_similarity epsilon={self.epsilon}: must be a number greater than 0, or inf.")
        return epsilon

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        from feature_lazy.core.streams import stream
        from feature_lazy.systems.private_similarities.release import WITH_COUNT, Released, gaussian_noise, unit

        if kernels.features is None:
            raise ConfigError(
                "private_similarity: it takes features, of linear, hidden_start, hidden_end or hidden_t=…"
            )
        held_out = task.held_out if self.records == "valid" else (kernels.x_train, task.targets)
        if held_out is None:
            raise ConfigError("private_similarity records=valid: there are no validation patterns")
        z, y = (unit(kernels.features(x).numpy()) for x in (held_out[0], kernels.x_test))
        targets = held_out[1].numpy()
        signs = targets[:, None] * [-1, 1] if targets.ndim == 1 else targets
        noise = gaussian_noise(self.budget, self.delta, WITH_COUNT)
        draws = stream(self.draw, "private similarity")
        each = [torch.from_numpy(Released.of(z[of > 0], noise, draws).distances(y)) for of in signs.T]
        f = each[0] - each[1] if targets.ndim == 1 else -torch.stack(each, 1)
        return Prediction(f, scalars={"noise": noise})
