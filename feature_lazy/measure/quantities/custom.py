"""Observables of a user's own, by their import path: ``observe/also=[custom]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from feature_lazy.core.errors import ConfigError
from feature_lazy.measure.quantity import Quantity
from feature_lazy.settings.groups import Observable
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import target_problems
from feature_lazy.settings.targets import imported

if TYPE_CHECKING:
    from torch import Tensor

    from feature_lazy.measure.moment import Moment
    from feature_lazy.settings.config import Config

TARGETS = "observe.also.custom.targets"


@option("observe/also", "custom")
class CustomObservables(Observable):
    """Your own observables by name: observe.also.custom.targets={mine: mypackage.f}.

    A target is a function of a ``Moment`` of M states that returns a tensor (M,), which is the column ``mine``, or a
    dictionary of them, columns ``mine/…``; or a subclass of ``Observable``, whose columns are ``mine/…`` too.
    """

    targets: dict[str, str] = key({}, "import paths by name, such as {mine: mypackage.f}")

    def problems(self, config: Config) -> Iterator[str]:
        if not self.targets:
            yield f"{TARGETS}={{}}: name your own observables, such as {TARGETS}={{mine: mypackage.f}}."
        for name, target in self.targets.items():
            yield from target_problems(f"{TARGETS}.{name}", target)

    def own_code(self) -> list[str]:
        return list(self.targets.values())

    @property
    def quantities(self) -> dict[str, Quantity]:  # type: ignore[override]
        """Those of classes as ``name/column``; what a function returns is called by its name."""
        found = {}
        for name, own in self._own().items():
            if isinstance(own, Observable):
                found |= {f"{name}/{column}": quantity for column, quantity in own.quantities.items()}
            else:
                found |= {name: Quantity(name), f"{name}/*": Quantity(name)}
        return found

    def begin(self, moment: Moment) -> None:
        self._made = self._own()
        for own in self._made.values():
            if isinstance(own, Observable):
                own.begin(moment)

    def at(self, moment: Moment) -> dict[str, Any]:
        found = {}
        for name, own in self._made.items():
            values = own.at(moment) if isinstance(own, Observable) else own(moment)
            found |= _named(name, values) if isinstance(values, Mapping) else {name: values}
        return found

    def series(self, moment: Moment) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, own in self._made.items():
            found |= _named(name, own.series(moment)) if isinstance(own, Observable) else {}
        return found

    def end(self, moment: Moment) -> tuple[dict[str, Any], dict[str, Tensor]]:
        scalars, arrays = {}, {}
        for name, own in self._made.items():
            values = own.end(moment) if isinstance(own, Observable) else {}
            numbers, more = values if isinstance(values, tuple) else (values, {})
            scalars, arrays = scalars | _named(name, numbers), arrays | _named(name, more)
        return scalars, arrays

    def _own(self) -> dict[str, Observable | Callable[[Moment], Any]]:
        """Functions, and new objects of the classes.

        Raises:
            ConfigError: a target that cannot be imported, or is a class of another kind.
        """
        found = {}
        for name, target in self.targets.items():
            own = imported(f"{TARGETS}.{name}", target)
            if isinstance(own, type) and not issubclass(own, Observable):
                raise ConfigError(
                    f"{TARGETS}.{name}={target}: a class must derive from feature_lazy.settings.groups.Observable."
                )
            found[name] = own() if isinstance(own, type) else own
        return found


def _named(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}/{column}": value for column, value in values.items()}
