"""The shortest command of a configuration: only what differs from the defaults. Nothing of the user's is imported."""

import dataclasses
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from feature_lazy.settings import registry
from feature_lazy.settings.conf_files import written
from feature_lazy.settings.config import ALSO, Config
from feature_lazy.settings.key import default


def shortest(resolved: Mapping[str, Any]) -> list[str]:
    """Overrides that make a configuration again.

    Args:
        resolved: the whole configuration as plain values, as manifests and plans have it.
    """
    found: list[str] = []
    for f in dataclasses.fields(Config):
        if f.name not in resolved:
            continue
        value = resolved[f.name]
        if "group" in f.metadata and isinstance(value, Mapping):
            found += _of_group(f.name, value, f.metadata["default"])
        elif value != _plain(default(f)):
            found.append(f"{f.name}={_written(value)}")
    return found


def _of_group(group: str, value: Mapping[str, Any], chosen: str) -> Iterator[str]:
    kind = value.get("kind", chosen)
    if kind != chosen:
        yield f"{group}={kind}"
    also = value.get("also") if group == "observe" else None
    if isinstance(also, Mapping) and also:
        yield f"{ALSO}=[{','.join(map(str, also))}]"
        for name, keys in also.items():
            yield from _keys(f"observe.also.{name}", keys, registry.of_kind(ALSO, keys.get("kind", name)))
    yield from _keys(group, {k: v for k, v in value.items() if k != "also"}, registry.of_kind(group, kind))


def _keys(path: str, value: Mapping[str, Any], made: type | None) -> Iterator[str]:
    """Keys of an option that are not at their defaults; all, of an option that this version does not have."""
    usual = {f.name: _plain(default(f)) for f in dataclasses.fields(made)} if made else {}
    for name, one in value.items():
        if name in ("kind", "version"):
            continue
        if isinstance(one, Mapping) and isinstance(usual.get(name), Mapping) and usual[name]:
            inner = {k: v for k, v in one.items() if v != usual[name].get(k)}
            yield from (f"{path}.{name}.{k}={_written(v)}" for k, v in inner.items())
        elif name not in usual or one != usual[name]:
            yield f"{path}.{name}={_written(one)}"


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}: {_written(v)}' for k, v in value.items())}}}"
    return str(value) if isinstance(value, str) and value and not set(value) & set(" {}[],'\"") else written(value)


def command(resolved: Mapping[str, Any]) -> str:
    """The same as a line for a shell."""
    return " ".join(["python train.py", *map(shlex.quote, shortest(resolved))])


HERE = ("output_dir", "threads", "device", "memory_limit", "tracking")
"""What says where and how a configuration was trained, and not what."""


def commands(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines for a shell that train some configurations: one, if they are all combinations of some values.

    Args:
        configs: whole configurations as plain values; where they were trained is left out.
    """
    jobs = [{name: value for name, value in config.items() if name not in HERE} for config in configs]
    lines = [{word.partition("=")[0]: word.partition("=")[2] for word in shortest(job)} for job in jobs]
    keys = list(dict.fromkeys(key for line in lines for key in line))
    rows = [tuple(line.get(key, _at(job, key)) for key in keys) for line, job in zip(lines, jobs, strict=True)]
    values = [list(dict.fromkeys(row[index] for row in rows)) for index in range(len(keys))]
    swept = len(rows) > 1 and math.prod(map(len, values)) == len(set(rows)) == len(rows)
    if not swept or any("," in value for several in values if len(several) > 1 for value in several):
        return [command(job) for job in jobs]
    words = [f"{key}={','.join(several)}" for key, several in zip(keys, values, strict=True)]
    return [" ".join(["python train.py", "-m", *map(shlex.quote, words)])]


def _at(config: Mapping[str, Any], key: str) -> str:
    """The value of a key that a configuration leaves at its default, as it is written."""
    value: Any = config
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return _written(value["kind"] if isinstance(value, Mapping) and "kind" in value else value)
