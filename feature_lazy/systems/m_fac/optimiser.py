"""M-FAC, an option of the group ``dynamics``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.core.errors import ConfigError
from feature_lazy.dynamics.optimisers import Optimiser
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config

LEAST_DAMPING = 1e-6
"""Of single precision: below it λ divides what is rounding of the gradients."""
STATES_HELD = 3
"""States during an update: before, after, and what becomes of one."""


@option("dynamics", "mfac")
class Mfac(Optimiser):
    """M-FAC, w ← w − lr·(E + λ)⁻¹∇𝓛, E the empirical Fisher matrix of the last gradients; t = updates.

    E = (1/m) Σ ggᵀ of g = α∇𝓛 on the last m minibatches, the one of this update among them, and 0 for those before the
    first (Frantar, Kurtic and Alistarh 2021). Times α since ∇𝓛 ~ 1/α: in the lazy regime F does the same at every α.
    With momentum v ← μv + (1 − μ)(E + λ)⁻¹∇𝓛 and w ← w − lr·v. A checkpoint holds the m gradients.
    """

    lr: float = key(1e-2, "learning rate", gt=0)
    window: int = key(32, "m, gradients of which E is made", ge=1)
    damping: float = key(1e-2, "λ, over the mean of |g|² in the window", gt=0)
    momentum: float = key(0.0, "μ of v ← μv + (1 − μ)(E + λ)⁻¹∇𝓛, which the weights follow", ge=0)

    @property
    def slots(self) -> int:  # type: ignore[override]
        """The window, and v where there is momentum."""
        return self.window + (1 if self.momentum else 0)

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if self.momentum >= 1:
            yield f"dynamics.momentum={self.momentum}: must be below 1, or the weights never move."
        if config.dtype == "float32" and self.damping < LEAST_DAMPING:
            yield f"dynamics.damping={self.damping:g}: must be at least {LEAST_DAMPING:g} with float32."

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        """See ``Dynamics.prepare``.

        Raises:
            ConfigError: the window does not fit the memory limit.
        """
        held = STATES_HELD * (1 + self.slots) * w0.numel() * w0.element_size()
        if held > flow.memory_limit:
            raise ConfigError(
                f"dynamics.window={self.window}: so many gradients of {w0.shape[1]} weights, of {len(w0)} members, "
                f"take {held / 2**30:.2g} GiB during an update, more than memory_limit; use a smaller window, fewer of "
                "seed.members, or a higher memory_limit."
            )
        return super().prepare(flow, w0)

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        import torch

        from feature_lazy.kernels.inverse_fisher import inverse_fisher_product, mean_square

        w, *v, window = y.split([gradient.shape[1]] * (1 + bool(self.momentum)) + [self.window * gradient.shape[1]], 1)
        window = window.unflatten(1, (self.window, -1)).clone()
        window[torch.arange(len(y), device=y.device), (k - 1) % self.window] = flow.alpha[:, None] * gradient
        step = inverse_fisher_product(window, self.damping * mean_square(window), gradient)
        if v:
            step = torch.lerp(step, v[0], self.momentum)
        return torch.cat([w - self.lr * step, *([step] if v else []), window.flatten(1)], dim=1)
