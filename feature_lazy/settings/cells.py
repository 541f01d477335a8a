"""The unit that is stored, skipped and shown: one member at one α and width, known by its science."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from feature_lazy.data.rules import data_name, label_name
from feature_lazy.networks.widths import hidden_layers, last_fan_in
from feature_lazy.settings.config import Config, EnsembleSeed, RescaledAlpha, SingleSeed
from feature_lazy.settings.sources import source_hash

SCIENCE_VERSION = 3
"""Raised with every change of the code that changes results: runs of an older version are then not taken for done."""


@dataclass(frozen=True)
class Cell:
    """One network to train.

    Attributes:
        run_id: hash of everything that decides what is computed.
        code: hashes of the source of custom targets.
        seed: seed of the initialisation.
        config: the scientific configuration of this cell, as plain values.
        columns: flat values to sort and plot by: dataset, P, L, h, α, √h·α, seed, …
        resolved: the whole configuration of this cell, as plain values: what trains it again.
    """

    run_id: str
    code: list[str]
    seed: int
    config: dict[str, Any]
    columns: dict[str, Any]
    resolved: dict[str, Any]

    @property
    def label(self) -> str:
        """How a person names this cell."""
        return f"√hα={self.columns['sqrt_h_alpha']:g} h={self.columns['h']} seed={self.seed}"

    @property
    def identity(self) -> dict[str, Any]:
        """What the run id is made of, apart: tells why a run counts as new."""
        code = {"code": self.code} if self.code else {}
        return {"version": SCIENCE_VERSION, "key": science_key(self.config), **code}

    @property
    def description(self) -> dict[str, Any]:
        """What a manifest says of this cell."""
        return {
            "identity": self.identity,
            "config": self.config,
            "columns": self.columns,
            "resolved": self.resolved,
        }


def alpha(config: Config) -> float:
    """α in the article's units; √h with h the fan-in of the output layer."""
    scale = math.sqrt(last_fan_in(config)) if isinstance(config.alpha, RescaledAlpha) else 1.0
    return config.alpha.value / scale


def sqrt_h_alpha(config: Config) -> float:
    """√h·α, against which widths collapse (Fig. 3d); exactly the value that the user gave, if it was this."""
    if isinstance(config.alpha, RescaledAlpha):
        return config.alpha.value
    return config.alpha.value * math.sqrt(last_fan_in(config))


def seeds(config: Config) -> list[int]:
    """Seeds of the members that are trained together."""
    if isinstance(config.seed, EnsembleSeed):
        return list(range(config.seed.first, config.seed.first + config.seed.members))
    assert isinstance(config.seed, SingleSeed)
    return [config.seed.value]


def cells(config: Config) -> list[Cell]:
    """The cells of one job, in the order of their seeds."""
    return [_cell(dataclasses.replace(config, seed=SingleSeed(value=seed)), seed) for seed in seeds(config)]


def _cell(config: Config, seed: int) -> Cell:
    science = scientific(config)
    code = source_hashes(science)
    return Cell(run_id(science, code), code, seed, science, columns(config, seed), dataclasses.asdict(config))


def columns(config: Config, seed: int) -> dict[str, Any]:
    """Flat, numeric where it can be: what tables, dashboards and figures sort by."""
    return {
        "dataset": data_name(config.dataset),
        "labels": label_name(config),
        "P": config.dataset.n_train,
        "architecture": config.architecture.kind,
        "parametrisation": config.parametrisation.kind,
        "L": hidden_layers(config),
        "activation": config.activation.kind,
        "loss": config.loss.kind,
        "dynamics": config.dynamics.kind,
        "h": last_fan_in(config),
        "alpha": alpha(config),
        "sqrt_h_alpha": sqrt_h_alpha(config),
        "seed": seed,
    }


def scientific(node: Any) -> dict[str, Any]:
    """Plain values of all fields that can change what is computed; a later key only where it is not at its default."""
    values = {
        f.name: (f.type, getattr(node, f.name))
        for f in dataclasses.fields(node)
        if f.metadata.get("science", True) and not (f.metadata.get("later") and getattr(node, f.name) == f.default)
    }
    return {name: _plain(declared, value) for name, (declared, value) in values.items()}


def _plain(declared: Any, value: Any) -> Any:
    """A value as JSON holds it; in Python, too, a float field may have been given as 1."""
    if dataclasses.is_dataclass(value):
        return scientific(value)
    if isinstance(value, list):
        return [item if declared == list[int] else float(item) for item in value]
    return float(value) if declared is float else value


def source_hashes(science: dict[str, Any]) -> list[str]:
    """Of the targets in a scientific configuration: a network or data set of the user's own.

    Raises:
        ConfigError: a target that is not found.
    """
    return [source_hash(target) for target in targets(science)]


def targets(config: dict[str, Any]) -> list[str]:
    """Import paths of the user's own code in a configuration as plain values."""
    groups = [config.get(group, {}) for group in ("architecture", "dataset", "tracking")]
    groups.append(groups[-1].get("custom", {}))  # a tracker among several
    return [target for group in groups if (target := group.get("target"))]


def run_id(science: dict[str, Any], code: Sequence[str] = ()) -> str:
    """16 hexadecimal digits that belong to a scientific configuration and to this version of the code.

    Keys are sorted and the schema has made every number of a float field a float, so neither the order of keys
    nor writing 1, 1.0 or 1e0 matters. ``code``, of ``source_hashes``, is part of it.
    """
    return _hash({"version": SCIENCE_VERSION, **({"code": list(code)} if code else {}), **science})


def science_key(science: dict[str, Any]) -> str:
    """The same for every version of the code: tells which run of an older version a new one replaces."""
    return _hash(science)


def _hash(plain: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]
