"""When a run is observed: options of the group ``observe``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from feature_lazy.settings.observing import Observe
from feature_lazy.settings.registry import option

if TYPE_CHECKING:
    from feature_lazy.dynamics.times import ObservationTimes
    from feature_lazy.settings.config import Config


@option("observe", "log")
class LogObserve(Observe):
    """At t = 0, then at every 10^{k/per_decade} from first·min(1, √h·α) on, then at the end."""

    def when(self, scale: float) -> ObservationTimes:
        from feature_lazy.dynamics.times import LogTimes

        return LogTimes(self.per_decade, self.first * scale)


@option("observe", "times")
class ListedObserve(Observe):
    """At t = 0, then at the listed times, then at the end: observe=times observe.times=[0.1,1,10]."""

    def problems(self, config: Config) -> Iterator[str]:
        yield from super().problems(config)
        if not self.times:
            yield "observe.times=[]: observe=times needs a list, such as observe.times=[0.1,1,10]."

    def when(self, scale: float) -> ObservationTimes:
        from feature_lazy.dynamics.times import GivenTimes

        return GivenTimes(self.times)

    @classmethod
    def smallest(cls) -> list[str]:
        return ["observe.times=[1.0]"]
