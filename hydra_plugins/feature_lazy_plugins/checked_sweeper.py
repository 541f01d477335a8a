"""Hydra's own sweeper, with ranges checked beside types: nothing starts, or is submitted, if one job is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.errors import CompactHydraException

from feature_lazy.errors import ConfigError
from feature_lazy.schema import to_config
from feature_lazy.validate import validate
from hydra_plugins.feature_lazy_plugins.local_launcher import LocalLauncher


@dataclass
class CheckedSweeperConf(BasicSweeperConf):
    """Keys of the basic sweeper."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.checked_sweeper.CheckedSweeper"


class CheckedSweeper(BasicSweeper):
    """The Cartesian product of all choices, checked as a whole."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every job, and hold it against types, ranges and rules.

        Raises:
            CompactHydraException: every problem once, with the key, the value and what is allowed.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        problems: dict[str, None] = {}
        for overrides in batch:
            composed = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            if isinstance(self.launcher, LocalLauncher):
                # Composing takes a tenth of a second a job: this launcher need not do it again.
                self.launcher.composed[tuple(overrides)] = composed
            try:
                validate(to_config(composed))
            except ConfigError as error:
                problems |= dict.fromkeys(str(error).splitlines())
        if problems:
            raise CompactHydraException("\n".join(["Nothing was started:", *problems]))


ConfigStore.instance().store(group="hydra/sweeper", name="checked", node=CheckedSweeperConf, provider="feature_lazy")
