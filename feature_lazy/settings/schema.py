"""The bridge between Hydra and the typed configuration: registration, parsing, and errors that help."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.words import meant
from feature_lazy.settings import registry
from feature_lazy.settings.config import ALSO, Config
from feature_lazy.settings.fitting import fitted
from feature_lazy.settings.observing import Observe

GROUPS = tuple(f.name for f in dataclasses.fields(Config) if "group" in f.metadata)
"""Names of the configuration groups that are part of ``Config``."""

FREE: tuple[type, ...] = (dict,)
"""Instead of a dataclass: a dictionary whose keys are the user's."""


def members(group: str) -> tuple[type, ...]:
    """The dataclasses among which a group chooses."""
    return tuple(registry.options(group).values())


@cache
def _schema(made: type) -> DictConfig:
    """The schema of a dataclass."""
    node = typing.cast(DictConfig, OmegaConf.structured(made))
    if made is Config:
        for group in GROUPS:
            # Missing and not defaulted: a Mse cannot be merged onto a SoftHinge, only onto their missing base.
            node[group] = "???"
    else:
        _free(node, made)
    return node


class Schema(ConfigNode):
    """The schema of a dataclass in Hydra's store, made when it is first looked at: one command needs few of all."""

    def __init__(self, made: type, group: str, name: str, package: str | None = None) -> None:
        """The schema of a class, as an option of a group, in a package of the configuration."""
        self.made, self.group, self.name, self.package, self.provider = made, group, name, package, None

    @cached_property
    def node(self) -> DictConfig:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What Hydra loads, and copies before it changes it."""
        return _schema(self.made)


def register() -> None:
    """Put the schema where ``defaults`` lists find it: ``schema/config``, ``schema/loss/Mse`` and so on.

    An option from outside has no file under ``conf/``; it stands in the store itself, under its name.
    """
    store = ConfigStore.instance()
    # Hydra copies its sources for each composition and each list of a group, and with them all schemas, which it copies
    # again when it loads one: the store is the same one for all of them, whatever number of options there are.
    vars(store)["__deepcopy__"] = lambda memo: store
    _store(store, Schema(Config, "schema", "config", "_global_"))
    for group in (*GROUPS, ALSO):
        for name, made in registry.options(group).items():
            foreign = registry.is_foreign(made)
            place = (group, name) if foreign else (f"schema/{group}", made.__name__)
            _store(store, Schema(made, *place, f"observe.also.{name}" if foreign and group == ALSO else None))
        for name, preset in registry.presets(group).items():
            if preset.foreign:
                defaults = [preset.of, "_self_"]
                store.store(group=group, name=name, node={"defaults": defaults, **preset.values})


def _store(store: ConfigStore, schema: Schema) -> None:
    """Put a schema into the store, which would make it if it were asked to."""
    level = store.repo
    for part in str(schema.group).split("/"):
        level = level.setdefault(part, {})
    level[f"{schema.name}.yaml"] = schema


def _free(node: Any, made: type) -> None:
    """Let dictionaries in an option have any keys, unless they are dataclasses."""
    for name, within in keys_of((made,)).items():
        if within is FREE:
            OmegaConf.set_struct(node[name], False)
        elif within:
            _free(node[name], within[0])


def to_config(cfg: DictConfig, overrides: Sequence[str] = ()) -> Config:
    """Turn what Hydra composed of overrides into the typed configuration, in which defaults fit other keys.

    Raises:
        ConfigError: a value that is missing or does not convert to its type, or a key that the option does not have.
    """
    return fitted(as_written(cfg), overrides)


def as_written(cfg: DictConfig) -> Config:
    """The same with all defaults as they stand; see ``to_config``.

    Raises:
        ConfigError: see ``to_config``.
    """
    try:
        return Config(**_objects(cfg))
    except OmegaConfBaseException as error:
        raise ConfigError(str(error)) from error


def _objects(cfg: DictConfig) -> dict[str, Any]:
    """Values of the fields of ``Config``; Hydra's own node and others beside them are left alone."""
    nodes = {f.name: cfg[f.name] for f in dataclasses.fields(Config)}
    for name, node in nodes.items():
        _refuse_extra_keys(name, node)
    return {name: OmegaConf.to_object(node) if OmegaConf.is_config(node) else node for name, node in nodes.items()}


def _refuse_extra_keys(path: str, node: Any) -> None:
    """Refuse keys of another option, which Hydra lets ``+key=value`` add and the typed object would drop."""
    if not OmegaConf.is_dict(node):
        return  # a value
    made = typing.cast(type, OmegaConf.get_type(node))
    free = not dataclasses.is_dataclass(made)
    keys = {} if free else keys_of((made,))
    for key in node:
        if key not in keys and not free:
            refuse_key(f"{path}.{key}", str(key), f"'{path}' as it is chosen here ({made.__name__})", keys)
        if not OmegaConf.is_missing(node, key):
            _refuse_extra_keys(f"{path}.{key}", node[key])


def keys_of(types: Sequence[type]) -> dict[str, tuple[type, ...]]:
    """Keys of all the given dataclasses, each with the dataclass of its value, if it is one, or ``FREE``."""
    return {f.name: _within(f.type) for option in types for f in dataclasses.fields(option)}


def _within(declared: Any) -> tuple[type, ...]:
    if typing.get_origin(declared) is dict or declared is dict:
        return FREE
    return (declared,) if isinstance(declared, type) and dataclasses.is_dataclass(declared) else ()


def refuse_key(line: str, key: str, where: str, allowed: Sequence[str] | dict[str, Any]) -> typing.NoReturn:
    """Refuse a key that is not there.

    Args:
        line: what was given.
        key: its key that is unknown.
        where: what should have had it, as a noun.
        allowed: the keys that there are.

    Raises:
        ConfigError: always, with the nearest key and all keys.
    """
    keys = f" Its keys: {', '.join(allowed)}." if allowed else ""
    raise ConfigError(f"{line}: there is no key {key!r} in {where}.{meant(key, allowed, 1)}{keys}")


def from_plain(plain: Mapping[str, Any], *, trusted: bool = False) -> Config:
    """The typed configuration from the plain values of a plan or a manifest; keys that they lack have their defaults.

    Args:
        plain: the values.
        trusted: whether modules that they name may be imported: who trains or measures says so.

    Raises:
        ConfigError: a key, an option or a value that this version does not have, or modules that may not be imported.
    """
    modules = plain.get("options") or ()
    if modules and not trusted:
        raise ConfigError(f"The stored configuration names modules, options={modules!r}: they are not imported here.")
    registry.discover(modules)
    values: dict[str, Any] = {}
    for f in dataclasses.fields(Config):
        if f.name not in plain:
            continue  # a key that is newer than the file has its default
        value = plain[f.name]
        values[f.name] = _option(f.name, value) if f.name in GROUPS else value
    unknown = sorted(set(plain) - {f.name for f in dataclasses.fields(Config)})
    if unknown:
        raise ConfigError(f"The stored configuration has keys that this version does not know: {', '.join(unknown)}.")
    try:
        scalars = {name: value for name, value in values.items() if name not in GROUPS}
        checked = typing.cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), scalars))
        plainly = typing.cast(dict[str, Any], OmegaConf.to_container(checked))
        return Config(**{**values, **{name: plainly[name] for name in scalars}})
    except OmegaConfBaseException as error:
        raise ConfigError(f"The stored configuration cannot be used: {str(error).splitlines()[0]}") from error


def _option(group: str, plain: Mapping[str, Any]) -> Any:
    """The dataclass of a group's option from its plain values.

    Raises:
        ConfigError: an option or a key that this version does not have.
    """
    made = registry.of_kind(group, plain.get("kind"))
    if made is None:
        raise ConfigError(
            f"The stored configuration has {group}={plain.get('kind')}, which this version does not know: "
            f"{registry.absent(group, str(plain.get('kind')))}"
        )
    keys = keys_of((made,))
    values = {name: value for name, value in plain.items() if name != "version" or name in keys}
    try:
        option = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(made), values))
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"The stored configuration has a value of {group} that cannot be used: {str(error).splitlines()[0]}"
        ) from error
    if isinstance(option, Observe):
        option.also = {name: _option(ALSO, one) for name, one in option.also.items()}
    return option
