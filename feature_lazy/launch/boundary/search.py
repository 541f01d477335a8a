"""One search: what is known, what is asked for next, and how it ended. Others train."""

import math
from collections.abc import Callable, Sequence

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.boundary.crossing import Ask, Found, Lost, Target, decide
from feature_lazy.launch.boundary.readings import Readings
from feature_lazy.runs.reading import Run
from feature_lazy.settings.cells import cells
from feature_lazy.settings.config import Config

At = Callable[[float], Config]
"""Function of alpha.value with the configuration of a job."""


class Search:
    """The boundary of one combination of all that is not α.

    Attributes:
        overrides: the combination, without alpha.value.
        target: what is looked for.
        config: the configuration of one of its jobs.
        readings: what is known.
        state: what is to be done, or how it ended.
        trained: runs that this command has asked for.
    """

    def __init__(self, overrides: Sequence[str], at: At, quantity: str, target: Target, max_runs: int) -> None:
        """Begin a search; its state is unknown until ``begin``."""
        self.overrides, self.target, self.max_runs = tuple(overrides), target, max_runs
        self.at, self.config = at, at(target.low)
        self.readings = Readings(self.config, quantity, target.level)
        self.state: Ask | Found | Lost = Ask(())
        self.trained = 0

    def begin(self, runs: Sequence[Run]) -> None:
        """Take what is stored already, and decide."""
        self.readings.take(runs)
        self._decide()

    @property
    def asks(self) -> tuple[float, ...]:
        """The α that are wanted next; none when the search is over."""
        return self.state.alphas if isinstance(self.state, Ask) else ()

    def answer(self, failures: Sequence[str]) -> None:
        """The jobs that were asked for are over: read their runs, or say why there are none."""
        try:
            for alpha in self.asks:
                self.readings.asked(cells(self.at(alpha)))
        except StoreError as error:
            self.state = Lost("; ".join(failures) or str(error))
            return
        self._decide()

    def _decide(self) -> None:
        self.state = decide(self.readings.points(), self.target)
        cost = len(self.asks) * len(self.readings.seeds)
        if self.trained + cost > self.max_runs:
            tried = ", ".join(f"{alpha:.4g}" for alpha in sorted(self.readings.points()))
            known = f"alpha.value = {tried}" if tried else "no α"
            self.state = Lost(
                f"hydra.sweeper.max_runs={self.max_runs} is spent, with {known} known; repeat the command to go on, "
                "or raise it."
            )
        else:
            self.trained += cost

    @property
    def runs(self) -> int:
        """Runs that the answer rests on, those that were there before included."""
        return len(self.readings.points()) * len(self.readings.seeds)

    @property
    def grid_runs(self) -> int:
        """Runs of a grid over the bracket, or as far as α* if that is beyond, with the resolution as its step."""
        found = [self.state.alpha] if isinstance(self.state, Found) else []
        ends = (self.target.low, self.target.high, *found)
        steps = math.ceil(round(math.log(max(ends) / min(ends)) / self.target.resolution, 6))
        return (steps + 1) * len(self.readings.seeds)
