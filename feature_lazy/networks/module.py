"""A user's own network as an option: ``architecture=custom architecture.target=mypackage.Net``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.groups import Architecture
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from feature_lazy.data.prepare import Dataset
    from feature_lazy.networks.custom import Custom
    from feature_lazy.settings.config import Config


@option("architecture", "custom")
class CustomArchitecture(Architecture):
    """Your own network: a module, or a pair of pure functions (docs/your_own_network.md)."""

    target: str = key("", "import path of what makes the network, such as mypackage.Net")
    kwargs: dict[str, Any] = key({}, "its keyword arguments; ${width.h} is the h of √h·α")

    one_width = True
    unread: ClassVar = {"activation": "has activations of its own", "parametrisation": "scales its own weights"}

    def problems(self, config: Config) -> Iterator[str]:
        if not config.leaves("parametrisation"):
            yield self.ignores(f"parametrisation={config.parametrisation.kind}", "parametrisation")
        yield from custom_problems("architecture", self.target)

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    def build(self, config: Config, data: Dataset) -> Custom:
        from feature_lazy.networks.custom import Custom
        from feature_lazy.settings.targets import factory

        patterns = data.x_train.unflatten(1, data.shape or (data.input_dim,))
        made = Custom.made_by(factory("architecture", self.target, self.kwargs), patterns, last_fan_in=config.h)
        if made.n_outputs != data.n_outputs:
            raise ConfigError(
                f"architecture.target={self.target}: the network has {made.n_outputs} outputs; for "
                f"{config.labelled_by} it must have {data.n_outputs}."
            )
        return made
