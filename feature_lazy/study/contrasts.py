"""What ought not to matter, found in the runs of a folder: bias, ε_∇, f₀ and the moment of a frozen kernel.

Runs that differ in nothing else but α, width and seed are compared pair by pair (``feature_lazy.study.pairs``).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from feature_lazy.study.joined import alike, labels
from feature_lazy.study.law import ARTICLE, KINDS, law
from feature_lazy.study.pairs import centring_laws, negligible
from feature_lazy.study.table import fitted
from feature_lazy.study.verdict import Reading

Config = dict[str, Any]
UNFIT = 0.01
"""Fraction of unfit patterns up to which a run counts, as in Fig. 8d: a kernel of small rank fits no more."""
Judge = Callable[[pd.DataFrame, pd.DataFrame, str], list[Reading]]


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


def _readings(table: pd.DataFrame, contrast: Contrast) -> Iterator[Reading]:
    """Laws of runs of all kinds together; none if they vary nothing of the kind."""
    table = fitted(table, UNFIT)[0]
    if "test/error" not in table:
        return
    pairs = []
    for values in alike(table, contrast.pop):
        usual = [rows for value, rows in values if contrast.usual(value)]
        if usual and len(values) > 1:
            pairs.append((usual[0], [one for one in values if not contrast.usual(one[0])]))
    for (reference, others), label in zip(pairs, labels([reference for reference, _ in pairs]), strict=True):
        for value, rows in others:
            yield from contrast.judge(rows, reference, contrast.name.format(value) + label)


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


def _negligible(table: pd.DataFrame, usual: pd.DataFrame, name: str) -> list[Reading]:
    return [negligible(name, table, usual)]


def _removed(table: pd.DataFrame, usual: pd.DataFrame, name: str) -> list[Reading]:
    return centring_laws(usual, table, label=name)


@law("test/error: kernel of the end", paper=ARTICLE, where="Fig. 8c–d", outcomes=(), across=KINDS)
def kernel_of_the_end(table: pd.DataFrame) -> Iterator[Reading]:
    """Frozen, it predicts as well as the network itself."""
    return _readings(table, Contrast("kernel of the end", _kernel, lambda value: value == "flow", _negligible))


@law("test/error: ε_∇", paper=ARTICLE, where="Fig. 13", outcomes=(), across=KINDS)
def bound_of_gradients(table: pd.DataFrame) -> Iterator[Reading]:
    """A hundred times finer bound on the gradient's change does not matter."""
    return _readings(table, Contrast("ε_∇ = {:g}", _eps, lambda value: value == 1e-4, _negligible))


@law("test/error: f₀ removed", paper=ARTICLE, where="Fig. 15", outcomes=(), across=KINDS)
def f0_removed(table: pd.DataFrame) -> Iterator[Reading]:
    """It matters at large α only."""
    return _readings(table, Contrast("", _centred, bool, _removed))


@law("test/error: bias", paper=ARTICLE, where="Fig. 16", outcomes=(), across=KINDS)
def bias(table: pd.DataFrame) -> Iterator[Reading]:
    """It does not matter."""
    return _readings(table, Contrast("bias {:g}", _bias, lambda value: value == 0, _negligible))
