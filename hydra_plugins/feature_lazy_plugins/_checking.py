"""What every sweeper does before it launches: all jobs are checked, and what is asked for is written down."""

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from hydra.core.override_parser.types import Override
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

MOST = 20_000
"""Jobs of one command; more are likely a mistake, such as a step that is too small."""
COUNTED = 10**7
"""Values of one choice that are counted."""


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

    def split_arguments(self, overrides: list[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """See ``BasicSweeper.split_arguments``: every combination, after they have been counted.

        Raises:
            CompactHydraException: so many that it is likely a mistake.
        """
        swept = [override for override in overrides if override.is_sweep_override()]
        counts = {one.key_or_group: sum(1 for _ in islice(one.sweep_string_iterator(), COUNTED)) for one in swept}
        jobs = math.prod(counts.values())
        if jobs > (most := getattr(self, "most", MOST)):
            product = " × ".join(f"{count} of {name}" for name, count in counts.items())
            raise CompactHydraException(
                f"Nothing was started: {product} are {jobs:,} jobs, more than {most:,}. If that is meant, say so: "
                f"hydra.sweeper.most={jobs}"
            )
        return super().split_arguments(overrides, max_batch_size)  # type: ignore[misc]

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
