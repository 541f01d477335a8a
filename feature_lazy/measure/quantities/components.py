"""The part of y − F along each eigenvector of the kernel of t = 0, and how fast it falls."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.losses import push
from feature_lazy.measure.moment import Moment
from feature_lazy.measure.quantities.fit import Scalars
from feature_lazy.settings.groups import Observable

MATRICES = 4
"""Numbers held at a time over the entries of Θ on the training set: it, its eigenvectors, and what finds them."""
RANK = 1e-10
"""λ over the largest one below which it is rounding, and its eigenvector too."""
TELLING = (0.1, 0.9)
"""Share of its start that a component is at where it tells its rate: it has moved, and not yet to what training's
tolerance leaves of all of them."""


@dataclass
class Components(Observable):
    """Principal components of what is not learnt yet (arXiv:1806.07572, section 5): a_i = u_i·(y − F)/√P.

    u_i are eigenvectors of Θ₀ on the training set, the largest λ_i first, with the sign that makes a_i(0) ≥ 0. While
    the kernel rests a_i(t) = a_i(0) e^{−λ_i t/P} for mse. Where eigenvalues coincide, so do rates, and eigenvectors
    are any basis of theirs.

    Attributes:
        count: how many.
    """

    count: int = 1

    def begin(self, moment: Moment) -> None:
        """See ``Observable.begin``.

        Raises:
            ConfigError: the kernels of all members do not fit the memory limit.
        """
        setting, size = moment.setting, moment.F_train.shape[1]
        needed = MATRICES * size * moment.F_train.numel() * moment.F_train.element_size()
        if needed > setting.model.memory_limit:
            raise ConfigError(
                f"observe.kernel.components={self.count}: kernels of {size} outputs of {len(moment)} networks take "
                f"{needed:.2g} bytes, more than memory_limit; raise it, or train fewer patterns or networks at once."
            )
        theta = setting.model.kernel(moment.weights, moment.member, setting.data.x_train)
        values, vectors = torch.linalg.eigh(theta)
        values, self._vectors = values.flip(-1), vectors.flip(-1)[..., : self.count]
        apart = values.diff(dim=1).abs()
        wall = torch.full_like(values[:, :1], torch.inf)
        nearest = torch.minimum(torch.cat([wall, apart], 1), torch.cat([apart, wall], 1))
        known = (values > RANK * values[:, :1])[:, : self.count]
        self._values = values[:, : self.count].where(known, torch.nan)
        self._gaps = nearest[:, : self.count] / self._values
        self._vectors = self._vectors * torch.where(self._along(moment) < 0, -1.0, 1.0)[:, None]

    def _along(self, moment: Moment) -> Tensor:
        """a_i of each state, (M, K)."""
        setting = moment.setting
        wanted = push(setting.loss, moment.F_train, setting.data.y_train, 1)  # −∂ℓ/∂F = y − F
        return (wanted[:, None] @ self._vectors[moment.member])[:, 0] / len(setting.data.x_train) ** 0.5

    def at(self, moment: Moment) -> Scalars:
        """See ``Observable.at``: ``train/component_1`` …."""
        along = self._along(moment)
        return {f"train/component_{i + 1}": along[:, i] for i in range(self.count)}

    def end(self, moment: Moment) -> Scalars:
        """See ``Observable.end``: λ_i of t = 0, and how far the nearest other one is, over it; NaN below rounding."""
        values, gaps = self._values[moment.member], self._gaps[moment.member]
        found = {f"component/eigenvalue_{i + 1}": values[:, i] for i in range(self.count)}
        return found | {f"component/gap_{i + 1}": gaps[:, i] for i in range(self.count)}

    def over(self, history: Mapping[str, np.ndarray]) -> Mapping[str, float]:
        """See ``Observable.over``: ``component/rate_1`` …, of a_i(t) = a_i(0) e^{−rate·t}."""
        return {f"component/rate_{i + 1}": rate(history, f"train/component_{i + 1}") for i in range(self.count)}


def rate(history: Mapping[str, np.ndarray], column: str) -> float:
    """Rate of a component that falls exponentially, by least squares; NaN where no observation tells it."""
    t, share = history["t"], history[column] / history[column][0]
    tells = (share > TELLING[0]) & (share < TELLING[1])
    return float(-(t[tells] @ np.log(share[tells])) / (t[tells] @ t[tells])) if tells.any() else float("nan")
