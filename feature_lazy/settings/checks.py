"""Ranges and rules that a type cannot say, checked before anything runs or is submitted."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import parse_bytes
from feature_lazy.settings.config import Config
from feature_lazy.settings.fitting import bound_problems
from feature_lazy.settings.groups import Option


def validate(config: Config) -> None:
    """Refuse a configuration that cannot be trained.

    Raises:
        ConfigError: one line for each value that is refused, with key, value and what is allowed.
    """
    # Rules of an option may count on the ranges of its keys.
    problems = list(_ranges(config, "")) or list(_rules(config))
    if problems:
        raise ConfigError("\n".join(problems))


def check_option(option: Option, group: str) -> None:
    """Refuse an option with a value that its keys do not allow: of one that was made in Python, not composed.

    Raises:
        ConfigError: one line for each value that is refused.
    """
    if problems := list(_ranges(option, f"{group}.")):
        raise ConfigError("\n".join(problems))


def _ranges(node: Any, prefix: str) -> Iterator[str]:
    """Walk the dataclasses and hold each value against the range declared beside its field."""
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        if dataclasses.is_dataclass(value):
            yield from _ranges(value, f"{prefix}{f.name}.")
            continue
        if isinstance(value, dict):
            for name, one in value.items():
                yield from _ranges(one, f"{prefix}{f.name}.{name}.") if dataclasses.is_dataclass(one) else ()
            continue
        for item in value if isinstance(value, list) else [value]:
            if (allowed := _violated(item, f.metadata)) is not None:
                yield f"{prefix}{f.name}={item}: {allowed}."


def _violated(value: Any, rule: Any) -> str | None:
    """What the rule allows, if it does not allow the value."""
    choices, gt, ge = rule.get("choices"), rule.get("gt"), rule.get("ge")
    if choices and value not in choices:
        return f"must be {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}{rule.get('hint', '')}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if gt is not None and not value > gt:
        return f"must be greater than {gt:g}"
    if ge is not None and not value >= ge:
        return f"must be at least {ge:g}"
    return None


def _rules(config: Config) -> Iterator[str]:
    """Rules that join several values: those of each option, and of the keys beside the groups."""
    for f in dataclasses.fields(config):
        if "group" in f.metadata:
            yield from getattr(config, f.name).problems(config)
    yield from bound_problems(config)
    if config.centred == "parent" and config.seed.kind != "from_run":
        yield f"centred=parent: seed={config.seed.kind} has no parent; choose seed=from_run."
    elif config.centred not in (True, False, "parent"):
        yield f"centred={config.centred}: must be true, false or parent."
    if config.device.split(":")[0] not in ("cpu", "cuda"):
        yield f"device={config.device}: must be cpu, cuda or cuda:N."
    if config.batch != "auto" and not (config.batch.isdecimal() and int(config.batch)):
        yield f"batch={config.batch}: must be auto, or how many networks are trained together at most, 1 or more."
    try:
        parse_bytes(config.memory_limit)
    except ValueError as error:
        yield f"memory_limit={config.memory_limit}: {error}."
