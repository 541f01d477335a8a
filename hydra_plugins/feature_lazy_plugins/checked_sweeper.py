"""Hydra's own sweeper, with ranges checked beside types: nothing starts, or is submitted, if one job is wrong."""

from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore

from hydra_plugins.feature_lazy_plugins._checking import Checking


@dataclass
class CheckedSweeperConf(BasicSweeperConf):
    """Keys of the basic sweeper."""

    _target_: str = "hydra_plugins.feature_lazy_plugins.checked_sweeper.CheckedSweeper"


class CheckedSweeper(Checking, BasicSweeper):
    """The Cartesian product of all choices, checked as a whole and written down as a plan."""


ConfigStore.instance().store(group="hydra/sweeper", name="checked", node=CheckedSweeperConf, provider="feature_lazy")
