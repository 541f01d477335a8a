"""Where runs can be shown: options of the group ``tracking`` that are no tracker of their own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from feature_lazy.settings.groups import Tracking
from feature_lazy.settings.key import key
from feature_lazy.settings.registry import option
from feature_lazy.settings.sources import custom_problems

if TYPE_CHECKING:
    from feature_lazy.runs.tracking.interface import Tracker
    from feature_lazy.settings.config import Config


@dataclass
class Tracked(Tracking):
    """What all trackers have.

    You write these: ``maker``, which returns what makes a ``Tracker``; import its library within.
    """

    ensemble: str = key(
        "members", "an ensemble as a run for each member, or as their mean", choices=("members", "mean")
    )

    @property
    def averages(self) -> bool:
        return self.ensemble == "mean"


@option("tracking", "none")
class NoTracking(Tracking):
    """Stored runs only."""

    def maker(self, root: Path) -> None:
        return None


@option("tracking", "custom")
class CustomTracking(Tracked):
    """Your own tracker (docs/tracking.md): tracking=custom tracking.target=mypackage.Tracker."""

    target: str = key("", "import path of what makes the tracker, an object with start, log and finish")
    kwargs: dict[str, Any] = key({}, "its keyword arguments, such as {folder: ${output_dir}}")

    def problems(self, config: "Config") -> Iterator[str]:
        yield from custom_problems("tracking" if config.tracking is self else "tracking.custom", self.target)

    def own_code(self) -> list[str]:
        return [self.target] if self.target else []

    def maker(self, root: Path) -> "Callable[[], Tracker]":
        from feature_lazy.settings.targets import factory

        return lambda: cast("Tracker", factory("tracking", self.target, self.kwargs)())
