"""The unit that is stored, skipped and shown: one member at one α and width, known by its science."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from feature_lazy.settings.config import Config
from feature_lazy.settings.groups import Option
from feature_lazy.settings.key import default
from feature_lazy.settings.registry import is_foreign
from feature_lazy.settings.sources import source_hash

FLOATS = (float, float | None)
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
    def alpha(self) -> float:
        """α in the article's units."""
        return self.columns["alpha"]

    @property
    def identity(self) -> dict[str, Any]:
        """Versions, sources and data, with a hash of the configuration: tells why a run counts as new.

        It stands in a manifest and makes no id: that is of the configuration itself, by ``run_id``.
        """
        code = {"code": self.code} if self.code else {}
        content = self.config.get("dataset", {}).get("content")
        there = {"content": content} if content else {}
        raised = {"options": versions} if (versions := option_versions(self.config)) else {}
        return {"version": SCIENCE_VERSION, "key": science_key(self.config), **raised, **code, **there}

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
    """α in the article's units."""
    return config.alpha.alpha(config.h)


def sqrt_h_alpha(config: Config) -> float:
    """√h·α, against which widths collapse (Fig. 3d); h is the fan-in of the output layer."""
    return config.alpha.sqrt_h_alpha(config.h)


def cells(config: Config) -> list[Cell]:
    """The cells of one job, in the order of their seeds."""
    config = dataclasses.replace(config, dataset=config.dataset.settled(), labels=config.labels.settled())
    seeds = zip(config.seed.each(), config.seed.seeds(), strict=True)
    return [_cell(dataclasses.replace(config, seed=one), seed) for one, seed in seeds]


def _cell(config: Config, seed: int) -> Cell:
    science = scientific(config)
    code = source_hashes(config)
    return Cell(run_id(science, code), code, seed, science, columns(config, seed), dataclasses.asdict(config))


COLUMNS = {
    "dataset": "the data, or the name of a user's own",
    "labels": "the rule that makes ±1, classes or real targets",
    "P": "number of training patterns",
    "architecture": "the network",
    "parametrisation": "how weights are scaled with width",
    "L": "number of hidden layers; empty for a network that has none",
    "activation": "the nonlinearity; empty for a network that brings its own",
    "loss": "the loss ℓ(F, y) of a pattern",
    "dynamics": "what moves the weights",
    "h": "width of a hidden layer: what α ~ 1/√h is about",
    "alpha": "output scale α of F = α(f − f₀)",
    "sqrt_h_alpha": "√h·α: below its boundary features are learnt, above it training is lazy",
    "seed": "seed of the initial weights; runs that differ in it alone are one point with an error bar",
}
"""What a run is sorted and drawn by, each with its meaning; see ``columns``."""


def columns(config: Config, seed: int) -> dict[str, Any]:
    """Flat, numeric where it can be: what tables, dashboards and figures sort by."""
    data = config.dataset
    return {
        "dataset": data.name,
        "labels": data.kind if data.own_labels else config.labels.kind,
        "P": data.n_train,
        "architecture": config.architecture.kind,
        "parametrisation": config.parametrisation.kind,
        "L": config.architecture.hidden_layers,
        "activation": config.activation.kind,
        "loss": config.loss.kind,
        "dynamics": config.dynamics.kind,
        "h": config.h,
        "alpha": alpha(config),
        "sqrt_h_alpha": sqrt_h_alpha(config),
        "seed": seed,
        **({} if config.leaves("prior") else {"prior/scale": config.prior.scale(seed)}),
    }


def scientific(node: Any) -> dict[str, Any]:
    """Plain values of all keys that can change what is computed.

    Absent are keys that say how, where and how long, and what ``observe/also`` records beside; and, so that runs from
    before keep their ids, a later key or group at its default, and the version of an option that has not been raised.
    """
    found: dict[str, Any] = {}
    for f in _science(type(node)):
        value = _plain(f, getattr(node, f.name))
        if not (f.metadata.get("later") and value == _plain(f, default(f))):
            found[f.name] = value
    version = getattr(node, "version", 1)
    return {**found, "version": version} if version > 1 else found


@cache
def _science(made: type) -> tuple[dataclasses.Field[Any], ...]:
    """Fields that can change what is computed; asked for every cell of a sweep."""
    return tuple(f for f in dataclasses.fields(made) if f.metadata.get("science", True))


def _plain(f: dataclasses.Field[Any], value: Any) -> Any:
    """A value as JSON holds it; in Python, too, a float field may have been given as 1."""
    if isinstance(value, str | bool | int):
        return float(value) if f.type in FLOATS and not isinstance(value, str) else value
    if dataclasses.is_dataclass(value):
        return scientific(value)
    if isinstance(value, list):
        items = [float(item) for item in value] if f.type == list[float] else list(value)
        return sorted(items) if f.metadata.get("unordered") else items
    return value


def source_hashes(config: Config) -> list[str]:
    """Hashes of the source of the user's own code that decides what is computed: targets, and options from outside.

    Raises:
        ConfigError: a target that is not found.
    """
    groups = sorted(f.name for f in dataclasses.fields(config) if "group" in f.metadata and f.metadata["science"])
    return [source_hash(target) for name in groups for target in own_code(getattr(config, name))]


def targets(config: Config) -> list[str]:
    """Import paths of the user's own code in a configuration, that of observables included."""
    groups = sorted(f.name for f in dataclasses.fields(config) if "group" in f.metadata)
    chosen = [*(getattr(config, name) for name in groups), *config.observe.also.values()]
    return [*config.options, *(target for option in chosen for target in own_code(option))]


def refusal(config: Config) -> str:
    """Why nothing is computed of a stored run with code of the user's own, which is not run; empty if it has none."""
    own = targets(config)
    return f"network or data need code of the user's own, {own[0]}, which is not run here" if own else ""


def own_code(option: Option) -> list[str]:
    """Import paths of the user's own code that an option is, or runs."""
    made = type(option)
    return [*([f"{made.__module__}.{made.__qualname__}"] if is_foreign(made) else []), *option.own_code()]


def run_id(science: dict[str, Any], code: Sequence[str] = ()) -> str:
    """16 hexadecimal digits that belong to a scientific configuration and to this version of the code.

    Keys are sorted and the schema has made every number of a float field a float, so neither the order of keys
    nor writing 1, 1.0 or 1e0 matters. ``code``, of ``source_hashes``, is part of it.
    """
    return _hash({"version": SCIENCE_VERSION, **({"code": list(code)} if code else {}), **science})


def science_key(science: dict[str, Any]) -> str:
    """The same for every version of code and data: tells which older run a new one replaces."""
    return _hash({name: _without(value, name) if isinstance(value, dict) else value for name, value in science.items()})


def option_versions(science: dict[str, Any]) -> dict[str, int]:
    """Versions of the options in a scientific configuration that have been raised, by group."""
    return {name: part["version"] for name, part in science.items() if isinstance(part, dict) and "version" in part}


def _without(part: dict[str, Any], group: str) -> dict[str, Any]:
    """What is known of a group whatever its version, and of data whatever they hold."""
    unknown = {"version", "content"} if group == "dataset" else {"version"}
    return {name: value for name, value in part.items() if name not in unknown}


def _hash(plain: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]
