"""Ranges and rules that a type cannot say, checked before anything runs or is submitted."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from feature_lazy.config import Config, Flow, GeometricWidth
from feature_lazy.data_rules import data_problems
from feature_lazy.errors import ConfigError
from feature_lazy.memory import parse_bytes


def validate(config: Config) -> None:
    """Refuse a configuration that cannot be trained.

    Raises:
        ConfigError: one line for each value that is refused, with key, value and what is allowed.
    """
    problems = [*_ranges(config, ""), *_rules(config)]
    if problems:
        raise ConfigError("\n".join(problems))


def _ranges(node: Any, prefix: str) -> Iterator[str]:
    """Walk the dataclasses and hold each value against the range declared beside its field."""
    for f in dataclasses.fields(node):
        value = getattr(node, f.name)
        if dataclasses.is_dataclass(value):
            yield from _ranges(value, f"{prefix}{f.name}.")
            continue
        for item in value if isinstance(value, list) else [value]:
            if (allowed := _violated(item, f.metadata)) is not None:
                yield f"{prefix}{f.name}={item}: {allowed}."


def _violated(value: Any, rule: Any) -> str | None:
    """What the rule allows, if it does not allow the value."""
    choices, gt, ge = rule.get("choices"), rule.get("gt"), rule.get("ge")
    if choices and value not in choices:
        return (
            f"must be {choices[0]}; choose the option itself on the command line"
            if len(choices) == 1
            else ("must be one of " + ", ".join(choices))
        )
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if gt is not None and not value > gt:
        return f"must be greater than {gt:g}"
    if ge is not None and not value >= ge:
        return f"must be at least {ge:g}"
    return None


def _rules(config: Config) -> Iterator[str]:
    """Rules that join several values."""
    yield from data_problems(config)
    observe = config.observe
    if isinstance(config.dynamics, Flow) and config.dynamics.stepper == "tangent" and config.loss.kind == "hinge":
        yield "dynamics.stepper=tangent: needs a loss without kinks, and loss=hinge has one; use auto or article."
    if observe.kernel.probe > config.dataset.n_test:
        yield f"observe.kernel.probe={observe.kernel.probe}: must be at most dataset.n_test={config.dataset.n_test}."
    if observe.kernel.eigenvalues > max(observe.kernel.probe, 0):
        yield (
            f"observe.kernel.eigenvalues={observe.kernel.eigenvalues}: must be at most "
            f"observe.kernel.probe={observe.kernel.probe}."
        )
    if observe.kind == "times" and not observe.times:
        yield "observe.times=[]: observe=times needs a list, such as observe.times=[0.1,1,10]."
    if isinstance(config.width, GeometricWidth) and config.width.h > 0 and config.width.growth > 0:
        last = config.width.h * config.width.growth ** (config.architecture.depth - 1)
        if round(last) < 1:
            yield f"width.growth={config.width.growth}: the last layer's width {last:.3g} rounds to 0."
    if config.device.split(":")[0] not in ("cpu", "cuda"):
        yield f"device={config.device}: must be cpu, cuda or cuda:N."
    try:
        parse_bytes(config.memory_limit)
    except ValueError as error:
        yield f"memory_limit={config.memory_limit}: {error}."
