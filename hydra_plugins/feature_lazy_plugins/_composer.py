"""The configurations of a sweep's jobs, thousands a minute: what differs in values only is composed once."""

import copy
import dataclasses
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from feature_lazy.core.errors import ConfigError
from feature_lazy.settings.config import Config
from feature_lazy.settings.fitting import fitted
from feature_lazy.settings.schema import GROUPS, as_written

FIELDS = {f.name for f in dataclasses.fields(Config)}


@dataclass(frozen=True)
class Latest:
    """The last job of a kind: what its base has now, its configuration as it is written, and whether values are linked.

    They are where some value refers to another.
    """

    values: dict[str, Any]
    config: Config
    linked: bool


class Composer:
    """Composes jobs as Hydra does.

    Hydra takes tenths of a second to compose a job. Jobs mostly differ in values, such as ``alpha.value=1e-3``, and
    not in the options of groups; those are composed once and values set one by one, with the types of the schema.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig) -> None:
        """Compose with a loader, on top of what the command line has for all jobs."""
        self.loader, self.master = loader, master
        self._options: dict[tuple[str, ...], DictConfig] = {}  # composed of options alone
        self._bases: dict[tuple[str, ...], DictConfig] = {}  # with values, whichever the last job of the kind has
        self._latest: dict[tuple[str, ...], Latest] = {}
        self._jobs: dict[tuple[str, ...], Config] = {}
        self._lock = threading.Lock()

    def typed(self, overrides: Sequence[str]) -> Config:
        """The typed configuration of a job.

        Raises:
            ConfigError: a value that does not convert to its type, or a key that the option does not have.
        """
        job = tuple(overrides)
        if job not in self._jobs:
            values = _values(overrides)
            made = as_written(self._compose(overrides)) if values is None else self._with(overrides, values)
            self._jobs[job] = fitted(made, overrides)
        return self._jobs[job]

    def _with(self, overrides: Sequence[str], values: dict[str, Any]) -> Config:
        """The configuration of the job before, of the same kind, with the values that differ.

        Raises:
            ConfigError: a value that does not convert to its type.
        """
        base, key = self._base(overrides, values), _key(overrides, values)
        if key not in self._latest:
            linked = any("${" in OmegaConf.to_yaml(base[name]) for name in GROUPS)
            self._latest[key] = Latest(values, as_written(base), linked)
            return self._latest[key].config
        latest = self._latest[key]
        # As they are written: 1, 1.0 and True are equal, and not the same to a target.
        changed = {path: value for path, value in values.items() if repr(value) != repr(latest.values[path])}
        _set(base, changed, overrides)
        # What refers to a value changes with it: then everything is converted anew.
        touched = FIELDS if latest.linked else {path.partition(".")[0] for path in changed}
        nodes = {name: base[name] for name in touched}
        objects = {name: OmegaConf.to_object(n) if OmegaConf.is_config(n) else n for name, n in nodes.items()}
        self._latest[key] = Latest(values, dataclasses.replace(latest.config, **objects), latest.linked)
        return self._latest[key].config

    def composed(self, overrides: Sequence[str]) -> DictConfig:
        """What Hydra composes for a job, its own node included."""
        values = _values(overrides)
        if values is None:
            return self._compose(overrides)
        with self._lock:
            config = copy.deepcopy(self._base(overrides, values))
        _set(config, values, overrides)
        job = config.hydra.job
        with open_dict(config):
            config.hydra.overrides.task = list(overrides)
            job.override_dirname = get_overrides_dirname(
                [one for text in overrides if not (one := _override(text)).is_hydra_override()],
                **job.config.override_dirname,
            )
        return config

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        return self.loader.load_sweep_config(self.master, list(overrides))

    def _base(self, overrides: Sequence[str], values: dict[str, Any]) -> DictConfig:
        key = _key(overrides, values)
        if key not in self._bases:
            options = key[: len(key) - len(values)]
            if options not in self._options:
                self._options[options] = self._compose(options)
            base = copy.deepcopy(self._options[options])
            _set(base, values, overrides)
            self._bases[key] = base
        return self._bases[key]


def _key(overrides: Sequence[str], values: dict[str, Any]) -> tuple[str, ...]:
    """The same for jobs that set the same values in the same options."""
    return (*(text for text in overrides if (p := _parse(text)) is None or p.key_or_group not in values), *values)


@cache
def _override(text: str) -> Override:
    [override] = OverridesParser.create().parse_overrides([text])
    return override


@cache
def _parse(text: str) -> Override | None:
    """An override that sets a value of the schema; None if it does anything else."""
    override = _override(text)
    path = override.key_or_group
    group, _, rest = path.partition(".")
    sets_a_value = group in FIELDS and (bool(rest) if group in GROUPS else not rest)
    return (
        override if override.type is OverrideType.CHANGE and not override.is_sweep_override() and sets_a_value else None
    )


def _values(overrides: Sequence[str]) -> dict[str, Any] | None:
    """Values that a job sets by path; None where only Hydra can set them.

    Such values refer to others, or are dictionaries, which Hydra merges into those that the group's file has: set one
    after another, those of earlier jobs would stay.
    """
    parsed = [override for text in overrides if (override := _parse(text)) is not None]
    values = {override.key_or_group: override.value() for override in parsed}
    return None if any("${" in str(value) or _has_dict(value) for value in values.values()) else values


def _has_dict(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_has_dict, value)))


def _set(config: DictConfig, values: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set a job's values by path.

    Raises:
        ConfigError: a value that does not convert to its type, or a key that the option does not have.
    """
    try:
        for path, value in values.items():
            OmegaConf.update(config, path, value)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{' '.join(overrides)}: {error}") from error
