"""The trackers of a configuration."""

from collections.abc import Callable, Sequence
from functools import partial

from feature_lazy.runs.reading import Run
from feature_lazy.runs.store import Store
from feature_lazy.runs.tracking import Tracker, Trackers
from feature_lazy.runs.tracking.ensemble import MeanTracker
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.groups import Tracking


def build_tracking(config: Tracking, store: Store, cells: Sequence[Cell]) -> Trackers:
    """Trackers that are made with the first run, and in a thread of their own.

    Args:
        config: which.
        store: where the runs are; trackers that write do it beside them.
        cells: members of the ensemble.
    """
    makers = {}
    for one in config.each():
        make = one.maker(store.root)
        if make is not None:
            makers[one.kind] = partial(_mean, make, store, cells) if one.averages and len(cells) > 1 else make
    return Trackers(makers)


def _mean(make: Callable[[], Tracker], store: Store, cells: Sequence[Cell]) -> Tracker:
    def stored(run_id: str) -> Run | None:
        return store.load(run_id) if store.is_done(run_id) else None

    return MeanTracker(make(), cells, stored)
