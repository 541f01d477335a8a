"""Defaults that fit what a configuration says elsewhere; what a person wrote stays as it is, and may be refused."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from feature_lazy.settings.config import Config
from feature_lazy.settings.key import default

T = TypeVar("T")


def fitted(config: Config, overrides: Sequence[str] = ()) -> Config:
    """The configuration with smaller defaults where other keys leave no room for them.

    A default is a value that equals the key's own, and that no override sets. Identities are made of what comes out, so
    that a default that fits and the same number written are one run.

    Args:
        config: it is left as it is.
        overrides: of the command line.
    """
    written = {text.lstrip("+~").partition("=")[0] for text in overrides}
    sizes = {f.name for f in dataclasses.fields(config.dataset) if f"dataset.{f.name}" not in written}
    config = dataclasses.replace(config, dataset=config.dataset.fitted(config.labels, sizes))
    return _fit(config, "", config, written)


def bound_problems(config: Config) -> Iterator[str]:
    """Values above the key that bounds them."""
    for path, value, bound, limit in _bounded(config, "", config):
        if value > limit:
            yield f"{path}={value}: must be at most {bound}={limit}."


def _bounded(node: Any, prefix: str, config: Config) -> Iterator[tuple[str, int, str, int]]:
    """Path and value of every key that another one bounds, and path and value of that one."""
    for f in dataclasses.fields(node):
        value, path = getattr(node, f.name), f"{prefix}{f.name}"
        for name, one in _parts(value).items():
            yield from _bounded(one, f"{path}.{name}." if name else f"{path}.", config)
        if bound := f.metadata.get("at_most"):
            beside = "." not in bound
            yield path, value, f"{prefix}{bound}" if beside else bound, _value(node if beside else config, bound)


def _fit(node: T, prefix: str, config: Config, written: Collection[str]) -> T:
    """A node whose defaults are at most what bounds them; the same object where nothing changes."""
    for f in dataclasses.fields(node):  # type: ignore[arg-type]
        value, path, new = getattr(node, f.name), f"{prefix}{f.name}", None
        if bound := f.metadata.get("at_most"):
            limit = _value(node if "." not in bound else config, bound)
            left = value == default(f) and path not in written
            new = limit if left and value > limit >= (f.metadata["ge"] or 0) else value
        elif dataclasses.is_dataclass(value):
            new = _fit(value, f"{path}.", config, written)
        elif isinstance(value, dict):
            parts = {name: _fit(one, f"{path}.{name}.", config, written) for name, one in _parts(value).items()}
            new = {**value, **parts} if any(parts[name] is not value[name] for name in parts) else value
        else:
            continue
        if new is not value:
            node = dataclasses.replace(node, **{f.name: new})  # type: ignore[type-var]
    return node


def _parts(value: Any) -> dict[str, Any]:
    """Dataclasses in a value: itself, without a name, or those of a dictionary."""
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if dataclasses.is_dataclass(one)}
    return {"": value} if dataclasses.is_dataclass(value) else {}


def _value(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = getattr(node, name)
    return node
