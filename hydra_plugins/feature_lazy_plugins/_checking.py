"""What every sweeper does before it launches: all jobs are checked, and what is asked for is written down."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.redaction import clean
from feature_lazy.runs.plan import write_plan
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import Config
from hydra_plugins.feature_lazy_plugins._composer import Composer
from hydra_plugins.feature_lazy_plugins._jobs import Planning


class Checking:
    """A sweeper whose batches are checked as a whole; to stand before ``BasicSweeper``, which has its attributes."""

    hydra_context: HydraContext | None
    config: DictConfig | None
    launcher: Launcher | None

    @cached_property
    def composer(self) -> Composer:
        """Composes the jobs of all batches."""
        assert self.hydra_context is not None
        assert self.config is not None
        return Composer(self.hydra_context.config_loader, self.config)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Hold every job against types, ranges and rules, and leave the plan in the results folder.

        Raises:
            CompactHydraException: every problem once, with the key, the value and what is allowed.
        """
        problems: dict[str, None] = {}
        configs: list[Config] = []
        for overrides in batch:
            try:
                configs.append(self.composer.typed(overrides))
                validate(configs[-1])
            except ConfigError as error:
                problems |= dict.fromkeys(str(error).splitlines())
        if problems:
            raise CompactHydraException(clean("\n".join(["Nothing was started:", *problems])))
        if isinstance(self.launcher, Planning):
            self.launcher.composer = self.composer
            if not self.launcher.plans:
                return
        for root in {config.output_dir for config in configs}:
            write_plan(Path(root), [config for config in configs if config.output_dir == root])
