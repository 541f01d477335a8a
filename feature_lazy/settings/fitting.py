"""Defaults that fit what a configuration says elsewhere; what a person wrote stays as it is, and may be refused."""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any, TypeVar

from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Data, Labels
from feature_lazy.settings.key import default

T = TypeVar("T")
SIZES = ("n_train", "n_test")


def fitted(config: Config, overrides: Sequence[str] = ()) -> Config:
    """The configuration with smaller defaults where other keys leave no room for them.

    A default is a value that equals the key's own, and that no override sets. Identities are made of what comes out, so
    that a default that fits and the same number written are one run.

    Args:
        config: it is left as it is.
        overrides: of the command line.
    """
    written = {text.lstrip("+~").partition("=")[0] for text in overrides}
    config = dataclasses.replace(config, dataset=config.dataset.settled())
    config = dataclasses.replace(config, dataset=_sized(config.dataset, config.labels, written))
    return _fit(config, "", config, written)


def _sized(data: Data, labels: Labels, written: Collection[str]) -> Data:
    """Data with smaller defaults of ``n_train`` and ``n_test``, where labels or set leave no room.

    Both are then multiples that the labels can balance, and ``n_test`` takes what there is.
    """
    unit = labels.unit(data.class_names) if data.class_names else 1
    free = [f for f in dataclasses.fields(data) if f.name in SIZES and f"dataset.{f.name}" not in written]
    sizes = {f.name: size for f in free if (size := getattr(data, f.name)) == default(f) and size >= unit}
    sizes = {name: size - size % unit for name, size in sizes.items()}
    if "n_test" in sizes:
        spare = data.room(labels) - data.n_valid - sizes.get("n_train", data.n_train)
        if unit <= spare < sizes["n_test"]:
            sizes["n_test"] = int(spare - spare % unit)
    return dataclasses.replace(data, **sizes)


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
