"""A user's own labels: ``labels=custom labels.target=mypackage.rule``, a function of the class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from feature_lazy.core.errors import ConfigError, DataError
from feature_lazy.settings.groups import Labels
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config


@option("labels", "custom")
class CustomLabels(Labels):
    """Your own rule: a function of a class, an integer, that gives y = +1 or −1; patterns of both take turns.

    The classes of each label take turns among themselves, so that the labels are balanced, and within them the classes.
    """

    target: str = key("", "import path of the function, such as mypackage.rule")
    kwargs: dict[str, Any] = key({}, "its keyword arguments")

    @property
    def chosen_by(self) -> str:
        return f" labels.target={self.target}"

    def problems(self, config: Config) -> Iterator[str]:
        yield from custom_problems("labels", self.target)

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    def in_use(self, names: Sequence[int]) -> list[int]:
        """See ``Labels.in_use``.

        Raises:
            DataError: no function of a class, or all classes with one label.
        """
        if not self.target:
            return sorted(names)  # ``problems`` says so
        found = {name: self._of(name) for name in names}
        if len({*found.values()}) < 2:
            raise DataError(f"All of the classes {sorted(names)} have the same label; both +1 and −1 must occur.")
        return sorted(names)

    def cycle(self, names: Sequence[int]) -> list[int]:
        if not self.target:
            return list(names)
        minus, plus = ([name for name in names if self._of(name) == sign] for sign in (-1.0, 1.0))
        turns = math.lcm(len(minus), len(plus))
        return [side[turn % len(side)] for turn in range(turns) for side in (minus, plus)]

    def values(self, classes: np.ndarray, names: Sequence[int], targets: np.ndarray | None) -> np.ndarray:
        rule = {name: self._of(name) for name in names}
        return np.array([rule[int(one)] for one in classes])

    @cached_property
    def _known(self) -> dict[int, float]:
        return {}

    @cached_property
    def _rule(self) -> Any:
        from feature_lazy.settings.targets import function

        return function("labels", self.target, self.kwargs)

    def _of(self, name: int) -> float:
        """The label of a class.

        Raises:
            DataError: the function fails, gives no label, or another one when it is asked again.
        """
        if name not in self._known:
            where = f"labels.target={self.target}"
            try:
                found = [float(self._rule(name)) for _ in range(2)]
            except ConfigError as error:
                raise DataError(str(error)) from error
            except Exception as error:
                raise DataError(f"{where}: it fails on class {name} ({error}).") from error
            if found[0] != found[1] or found[0] not in (-1.0, 1.0):
                raise DataError(f"{where}: it gives {found[0]:g} for class {name}, then {found[1]:g}; it must be ±1.")
            self._known[name] = found[0]
        return self._known[name]
