"""A user's own activation: ``activation=custom activation.target=torch.nn.functional.gelu``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from feature_lazy.settings.groups import Activation
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.settings.config import Config


@option("activation", "custom")
class CustomActivation(Activation):
    """Your own φ₀, a function of a tensor z that treats each number by itself, scaled to E φ² = 1 by quadrature."""

    target: str = key("", "import path of the function, or of a class that makes it, such as torch.nn.functional.gelu")
    kwargs: dict[str, Any] = key({}, "its keyword arguments, such as {approximate: tanh}")
    kinks: bool = key(False, "whether φ₀ has a kink, as ReLU has")

    @property
    def smooth(self) -> bool:  # type: ignore[override]
        return not self.kinks

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        yield from custom_problems("activation", self.target)

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    def shape(self, z: Tensor) -> Tensor:
        return self._function(z)

    @cached_property
    def _function(self) -> Callable[[Tensor], Tensor]:
        from feature_lazy.networks.elementwise import check_activation
        from feature_lazy.settings.targets import function

        made = function("activation", self.target, self.kwargs)
        check_activation(f"activation.target={self.target}", made)
        return made
