"""Hydra's own sweeper, with ranges checked beside types: nothing starts, or is submitted, if one job is wrong."""

from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore

from hydra_plugins.feature_lazy_plugins._checking import MOST, Checking


@dataclass
class CheckedSweeperConf(BasicSweeperConf):
    """Keys of the basic sweeper."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.checked_sweeper.CheckedSweeper"
    most: int = MOST  # jobs of one command; more are refused


class CheckedSweeper(Checking, BasicSweeper):
    """The Cartesian product of all choices, counted, checked as a whole and written down as a plan."""

    def __init__(self, max_batch_size: int | None, params: dict[str, str] | None = None, most: int = MOST) -> None:
        """Keep how many jobs are no mistake; see ``BasicSweeperConf``."""
        super().__init__(max_batch_size, params)
        self.most = most


ConfigStore.instance().store(group="hydra/sweeper", name="checked", node=CheckedSweeperConf, provider="feature_lazy")
