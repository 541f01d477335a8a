"""Ranges and rules that a type cannot say, checked before anything runs or is submitted."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.core.memory import parse_bytes
from feature_lazy.data.rules import data_key, data_problems, pattern_shape
from feature_lazy.networks.geometry import Window, article_sides, sides
from feature_lazy.networks.widths import widths
from feature_lazy.settings.config import (
    Cnn,
    Config,
    CustomArchitecture,
    CustomData,
    CustomTracking,
    Flow,
    GeometricWidth,
    SeveralTracking,
    WideResnet,
)
from feature_lazy.settings.sources import module_of


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
    if not config.centred and config.dynamics.kind == "frozen_kernel":
        yield "centred=false: dynamics=frozen_kernel starts from F = 0; leave centred=true."
    if observe.kernel.probe > config.dataset.n_test:
        yield f"observe.kernel.probe={observe.kernel.probe}: must be at most dataset.n_test={config.dataset.n_test}."
    if observe.kernel.eigenvalues > max(observe.kernel.probe, 0):
        yield (
            f"observe.kernel.eigenvalues={observe.kernel.eigenvalues}: must be at most "
            f"observe.kernel.probe={observe.kernel.probe}."
        )
    if observe.kind == "times" and not observe.times:
        yield "observe.times=[]: observe=times needs a list, such as observe.times=[0.1,1,10]."
    yield from _architecture_rules(config)
    yield from _target_rules(config)
    if config.device.split(":")[0] not in ("cpu", "cuda"):
        yield f"device={config.device}: must be cpu, cuda or cuda:N."
    try:
        parse_bytes(config.memory_limit)
    except ValueError as error:
        yield f"memory_limit={config.memory_limit}: {error}."


def _architecture_rules(config: Config) -> Iterator[str]:
    network, width = config.architecture, config.width
    if isinstance(width, GeometricWidth) and width.h > 0 and width.growth > 0:
        if isinstance(network, WideResnet | CustomArchitecture):
            yield f"width=geometric: architecture={network.kind} has one width; use width=uniform."
        elif widths(config)[-1] < 1:
            last = width.h * width.growth ** (len(widths(config)) - 1)
            yield f"width.growth={width.growth}: the last layer's width {last:.3g} rounds to 0."
    if isinstance(network, WideResnet) and network.depth % 6 != 4:
        yield f"architecture.depth={network.depth}: a wide ResNet has 6n + 4 = 10, 16, 22, 28, … convolutions."
    if isinstance(network, CustomArchitecture) and config.parametrisation.kind != "ntk":
        yield (
            f"parametrisation={config.parametrisation.kind}: architecture=custom scales its own weights; leave "
            "parametrisation=ntk, which changes nothing in it."
        )
    if (shape := pattern_shape(config.dataset)) is not None:
        yield from image_problems(config, shape)


def image_problems(config: Config, shape: tuple[int, ...]) -> Iterator[str]:
    """What a convolutional network asks of patterns, by their shape."""
    network, data = config.architecture, config.dataset
    if not isinstance(network, Cnn | WideResnet):
        return
    if len(shape) != 3:
        yield (
            f"architecture={network.kind}: it takes images, (channels, rows, columns), and with {data_key(data)} "
            f"patterns have the shape {shape}; use another architecture or other data."
        )
        return
    try:
        if isinstance(network, WideResnet):
            sides(shape, [Window(3, 1, 1)])
        elif network.blocks > 0:
            article_sides(shape, network.blocks)
    except ConfigError as error:
        yield f"architecture={network.kind} with dataset={data.kind}: {error}"


def _target_rules(config: Config) -> Iterator[str]:
    several = config.tracking if isinstance(config.tracking, SeveralTracking) else None
    nodes = {"architecture": config.architecture, "dataset": config.dataset, "tracking": config.tracking}
    if several is not None and "custom" in several.sinks:
        nodes["tracking.custom"] = several.custom
    for group, node in nodes.items():
        if not isinstance(node, CustomArchitecture | CustomData | CustomTracking):
            continue
        if not node.target:
            yield f"{group}.target: a target of your own is needed, such as {group}.target=mypackage.Name."
            continue
        try:
            module_of(node.target)
        except ConfigError as error:
            yield f"{group}.target={node.target}: {error}"
