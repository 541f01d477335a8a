"""Hydra's own sweeper, with ranges checked beside types: nothing starts, or is submitted, if one job is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.errors import CompactHydraException

from feature_lazy.config import Config
from feature_lazy.errors import ConfigError
from feature_lazy.plan import write_plan
from feature_lazy.validate import validate
from hydra_plugins.feature_lazy_plugins._composer import Composer
from hydra_plugins.feature_lazy_plugins._jobs import Planning


@dataclass
class CheckedSweeperConf(BasicSweeperConf):
    """Keys of the basic sweeper."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.checked_sweeper.CheckedSweeper"


class CheckedSweeper(BasicSweeper):
    """The Cartesian product of all choices, checked as a whole and written down as a plan."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Hold every job against types, ranges and rules, and leave the plan in the results folder.

        Raises:
            CompactHydraException: every problem once, with the key, the value and what is allowed.
        """
        assert self.hydra_context is not None
        assert self.config is not None
        composer = Composer(self.hydra_context.config_loader, self.config)
        problems: dict[str, None] = {}
        configs: list[Config] = []
        for overrides in batch:
            try:
                configs.append(composer.typed(overrides))
                validate(configs[-1])
            except ConfigError as error:
                problems |= dict.fromkeys(str(error).splitlines())
        if problems:
            raise CompactHydraException("\n".join(["Nothing was started:", *problems]))
        if isinstance(self.launcher, Planning):
            self.launcher.composer = composer
            if not self.launcher.plans:
                return
        for root in {config.output_dir for config in configs}:
            write_plan(Path(root), [config for config in configs if config.output_dir == root])


ConfigStore.instance().store(group="hydra/sweeper", name="checked", node=CheckedSweeperConf, provider="feature_lazy")
