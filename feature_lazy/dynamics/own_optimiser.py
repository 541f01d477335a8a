"""A user's own optimiser: ``dynamics=custom dynamics.target=torch.optim.RMSprop``, or a subclass of ``Optimiser``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.explained import explained
from feature_lazy.dynamics.optimisers import Optimiser
from feature_lazy.dynamics.regularisers import pulls_to_zero
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.dynamics.choices import Training
    from feature_lazy.dynamics.flow import NetworkFlow
    from feature_lazy.settings.config import Config


@option("dynamics", "custom")
class CustomOptimiser(Optimiser):
    """Your own optimiser: a class of torch.optim, or a subclass of Optimiser (docs/extend/optimiser.md).

    A class of torch.optim sees ∇𝓛, times α/√h in the authors' units, as sgd and adam do; t = updates.
    """

    target: str = key("", "import path of the class, such as torch.optim.RMSprop or mypackage.Sam")
    kwargs: dict[str, Any] = key({}, "its keyword arguments, beside lr")

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        yield from custom_problems("dynamics", self.target)
        if "lr" in self.kwargs:
            yield f"dynamics.kwargs.lr={self.kwargs['lr']}: the learning rate is dynamics.lr."
        if self.kwargs.get("weight_decay") and config.centred is True:
            yield pulls_to_zero(f"dynamics.kwargs.weight_decay={self.kwargs['weight_decay']}")

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    @property
    def slots(self) -> int:  # type: ignore[override]
        """Of what is made ready; 0 before."""
        made = self.__dict__.get("_made")
        return made.slots if made is not None else 0

    def prepare(self, flow: NetworkFlow, w0: Tensor) -> Training:
        self._made = self._make(flow, w0)
        return super().prepare(flow, w0)

    def unit(self, scale: Tensor) -> Tensor:
        return self._made.unit(scale)

    def rate(self, scale: Tensor) -> Tensor:
        return self._made.rate(scale)

    def update(self, y: Tensor, gradient: Tensor, k: Tensor, scale: Tensor, flow: NetworkFlow) -> Tensor:
        moved = self._made.update(y, gradient, k, scale, flow)
        if moved.shape != y.shape:
            raise ConfigError(
                f"dynamics.target={self.target}: update returns {tuple(moved.shape)} for a state {tuple(y.shape)}; it "
                "must return the next state, weights and slots, of the same shape."
            )
        return moved

    def with_rate(self, lr: float) -> CustomOptimiser:
        found = super().with_rate(lr)
        found._made = self._made.with_rate(lr)
        return found

    def _make(self, flow: NetworkFlow, w0: Tensor) -> Any:
        """What updates: an ``Optimiser``.

        Raises:
            ConfigError: a target of another kind, one that fails, or one of which runs could not be resumed.
        """
        import torch

        from feature_lazy.dynamics.torch_optimiser import TorchOptimiser
        from feature_lazy.settings.targets import imported

        where = f"dynamics.target={self.target}"
        found = imported("dynamics.target", self.target)
        if isinstance(found, type) and issubclass(found, Optimiser):
            with explained(f"{where}: it fails"):
                return found(lr=self.lr, units=self.units, **self.kwargs)
        if isinstance(found, type) and issubclass(found, torch.optim.Optimizer):
            return TorchOptimiser.ready(where, partial(found, **self.kwargs), self.lr, flow.architecture.layout, w0)
        raise ConfigError(
            f"{where}: it is no optimiser; name a class of torch.optim, or a subclass of "
            "feature_lazy.dynamics.optimisers.Optimiser."
        )
