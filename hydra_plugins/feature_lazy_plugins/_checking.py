"""What every sweeper does before it launches: all jobs are checked, and what is asked for is written down."""

import logging
import math
import os
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

from hydra.core.override_parser.types import Override
from hydra.core.utils import configure_log
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.redaction import clean
from feature_lazy.runs.plan import write_plans
from feature_lazy.settings.checks import validate
from feature_lazy.settings.config import Config
from hydra_plugins.feature_lazy_plugins._composer import Composer
from hydra_plugins.feature_lazy_plugins._jobs import Planning

log = logging.getLogger(__name__)

LONGEST = 255
"""Bytes that the name of a folder may have on Linux and macOS."""
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
            CompactHydraException: so many that it is likely a mistake, or none.
        """
        swept = [override for override in overrides if override.is_sweep_override()]
        counts = {one.key_or_group: sum(1 for _ in islice(one.sweep_string_iterator(), COUNTED)) for one in swept}
        jobs = math.prod(counts.values())
        if not jobs:
            none = ", ".join(str(one.input_line) for one in swept if not counts[one.key_or_group])
            raise CompactHydraException(
                f"Nothing was started: {none} has no values; a glob has the options it matches."
            )
        if jobs > (most := getattr(self, "most", MOST)):
            product = " × ".join(f"{count} of {name}" for name, count in counts.items())
            raise CompactHydraException(
                f"Nothing was started: {product} are {jobs:,} jobs, more than {most:,}. If that is meant, say so: "
                f"hydra.sweeper.most={jobs}"
            )
        return super().split_arguments(overrides, max_batch_size)  # type: ignore[misc]

    def validate_batch_is_legal(self, batch: list[Sequence[str]]) -> None:
        """Hold every job against types, ranges and rules, and leave the plan in the results folder.

        Launchers of our own leave it when they begin: not in a dry run, nor where nothing can be submitted.

        Of jobs that are equal, such as those at α = 1, 1.0 and 1e0, the first stays in the batch.

        Raises:
            CompactHydraException: every problem once, with the key, the value and what is allowed.
        """
        problems: dict[str, None] = {}
        jobs: dict[str, tuple[Sequence[str], Config]] = {}
        for overrides in batch:
            try:
                config = self.composer.typed(overrides)
                validate(config)
                self._check_folder(overrides, config)
                jobs.setdefault(repr(config), (overrides, config))
            except ConfigError as error:
                problems |= dict.fromkeys(str(error).splitlines())
        if problems:
            raise CompactHydraException(clean("\n".join(["Nothing was started:", *problems])))
        if len(jobs) < len(batch):
            assert self.config is not None
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
            log.info("%d of %d jobs are equal to others, and count once", len(batch) - len(jobs), len(batch))
            batch[:] = [overrides for overrides, _ in jobs.values()]
        if isinstance(self.launcher, Planning):
            self.launcher.composer = self.composer
            return
        write_plans([config for _, config in jobs.values()])

    @cached_property
    def _folders(self) -> tuple[str, str]:
        """``hydra.sweep.dir`` and ``hydra.sweep.subdir`` as they are written, the same for all jobs."""
        assert self.config is not None
        written = cast(dict[str, Any], OmegaConf.to_container(self.config.hydra.sweep, resolve=False))
        return str(written["dir"]), str(written["subdir"])

    def _folder(self, overrides: Sequence[str], config: Config) -> Path:
        """Folder of a job. A whole configuration, of which a copy takes 10 ms, is asked only if it is named after one.

        Raises:
            ConfigError: a name with keys that there are not.
        """
        above, raw = self._folders
        if above == "${output_dir}" and "${" not in raw:
            return Path(config.output_dir) / raw
        whole = self.composer.composed(overrides)
        with open_dict(whole):
            whole.hydra.job.num, whole.hydra.job.id = 0, "0"
        try:
            return Path(whole.hydra.sweep.dir) / whole.hydra.sweep.subdir
        except OmegaConfBaseException as error:
            raise ConfigError(f"hydra.sweep.subdir={raw}: {str(error).splitlines()[0]}.") from error

    def _check_folder(self, overrides: Sequence[str], config: Config) -> None:
        """Refuse a job whose folder cannot be made.

        Raises:
            ConfigError: a name that is too long or has keys that there are not, or a folder below a file.
        """
        raw = self._folders[1]
        if raw == "${hydra.job.num}":
            return
        folder = self._folder(overrides, config)
        longest = max(folder.parts, key=lambda name: len(os.fsencode(name)))
        if len(os.fsencode(longest)) > LONGEST:
            raise ConfigError(
                f"hydra.sweep.subdir={raw}: the name of a folder has at most {LONGEST} bytes, and here one has "
                f"{len(os.fsencode(longest))}, {longest[:40]}…; hydra.sweep.subdir='${{hydra.job.num}}' is short."
            )
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            raise ConfigError(f"hydra.sweep.subdir={raw}: {there} is a file, and no folder can be made below it.")
