"""What ought not to matter, found in the runs of a folder: bias, ε_∇, f₀ and the moment of a frozen kernel.

Runs that differ in nothing else but α, width and seed are compared pair by pair (``analysis.pairs``).
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.pairs import centring_laws, negligible
from analysis.sweep import GRID, differences, fitted
from analysis.verdict import Law

CENTRED = "f₀ removed"
Config = dict[str, Any]
UNFIT = 0.01
"""Fraction of unfit patterns up to which a run counts, as in Fig. 8d: a kernel of small rank fits no more."""
Judge = Callable[[pd.DataFrame, pd.DataFrame, str], list[Law]]


@dataclass(frozen=True)
class Contrast:
    """A key of the configuration that the article finds not to matter, or only in one regime.

    Attributes:
        name: what a run has whose value is not the usual one; ``{}`` for the value.
        pop: takes the key out of a configuration and returns its value; None if the run has no part in this.
        usual: which of several values the others are compared with.
        judge: laws of the runs with a value, those with the usual one, and the name.
    """

    name: str
    pop: Callable[[Config], Any]
    usual: Callable[[Any], bool]
    judge: Judge


def contrasts(table: pd.DataFrame) -> list[Law]:
    """The laws of Figs. 8c–d, 13, 15 and 16 that the runs can show; none if they vary nothing of the kind.

    Args:
        table: runs of any kinds, as ``analysis.sweep.parts`` gives them, together.
    """
    table = fitted(table, UNFIT)[0].reset_index(drop=True)  # tables of several kinds count from 0 each
    return [law for contrast in CONTRASTS for law in _laws(table, contrast)]


def _laws(table: pd.DataFrame, contrast: Contrast) -> Iterator[Law]:
    groups: dict[str, dict[str, tuple[Any, list[int]]]] = {}
    for i, run in enumerate(table["run"]):
        config = copy.deepcopy({key: value for key, value in run.config.items() if key not in GRID})
        if (value := contrast.pop(config)) is not None:
            same = groups.setdefault(json.dumps(config, sort_keys=True), {})
            same.setdefault(str(value), (value, []))[1].append(i)
    pairs = []
    for values in groups.values():
        usual = [rows for value, rows in values.values() if contrast.usual(value)]
        if usual and len(values) > 1:
            pairs.append((table.iloc[usual[0]], [one for one in values.values() if not contrast.usual(one[0])]))
    if not pairs:
        return
    names = list(differences(pd.concat([reference for reference, _ in pairs])))
    for reference, others in pairs:
        label = "".join(f", {name} = {_value(reference, name)}" for name in names)
        for value, rows in others:
            yield from contrast.judge(table.iloc[rows], reference, contrast.name.format(value) + label)


def _value(table: pd.DataFrame, name: str) -> Any:
    """A column, or a key of the configuration, of runs that have it in common."""
    keys = pd.json_normalize(table["run"].iloc[0].config)
    return next((one[name].iloc[0] for one in (table, keys) if name in one), "not set")


def _bias(config: Config) -> float | None:
    return config.get("architecture", {}).pop("bias", None)


def _centred(config: Config) -> bool:
    return config.pop("centred", True)  # a later key: not there means true


def _eps(config: Config) -> float | None:
    dynamics = config.get("dynamics", {})
    return dynamics.pop("eps_gradient", None) if dynamics.get("stepper") == "article" else None


def _kernel(config: Config) -> str | None:
    """Moment of a frozen kernel, or ``flow`` of the network itself; both by the same stepper and tolerance."""
    dynamics = config.get("dynamics", {})
    config["dynamics"] = {name: dynamics.get(name) for name in ("stepper", "tolerance")}
    if dynamics.get("kind") == "frozen_kernel":
        return "end" if dynamics["at"] == "end" else None
    return "flow" if dynamics.get("kind") == "gradient_flow" else None


def _negligible(where: str) -> Judge:
    return lambda table, usual, name: [negligible(name, table, usual, where=where)]


def _removed(table: pd.DataFrame, usual: pd.DataFrame, name: str) -> list[Law]:
    return centring_laws(usual, table, label=name.removeprefix(CENTRED))


CONTRASTS = (
    Contrast("kernel of the end", _kernel, lambda value: value == "flow", _negligible("Fig. 8c–d")),
    Contrast("ε_∇ = {:g}", _eps, lambda value: value == 1e-4, _negligible("Fig. 13")),
    Contrast(CENTRED, _centred, bool, _removed),
    Contrast("bias {:g}", _bias, lambda value: value == 0, _negligible("Fig. 16")),
)
