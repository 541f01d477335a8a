"""Baseline ``hilbert``: the Hilbert kernel estimate, consistent without a bandwidth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.study.baselines.base import Baseline, Prediction, Task

if TYPE_CHECKING:
    from feature_lazy.study.baselines.kernels import KernelSet


@option("baseline", "hilbert")
class Hilbert(Baseline):
    """The mean target of all training patterns with weights 1/‖x − x′‖^m, as a kernel measures distance.

    Consistent where m is the dimension of what patterns lie in, d − 1 on a sphere (Devroye, Györfi, Krzyżak, 1998).
    """

    power: float = key(1.0, "m of 1/‖x − x′‖^m", gt=0)

    def fit(self, kernels: KernelSet, task: Task) -> Prediction:
        import torch

        if kernels.outputs > 1:
            raise ConfigError("hilbert: the kernel of several outputs measures no distance; take linear.")
        squares = kernels.test_diagonal[:, None] + kernels.train_diagonal - 2 * kernels.test_train
        # A training pattern itself has all weight: so small a distance leaves no other any.
        logs = squares.clamp_min(torch.finfo(squares.dtype).tiny).log()
        return Prediction((-self.power / 2 * logs).softmax(dim=1) @ task.targets.double())
