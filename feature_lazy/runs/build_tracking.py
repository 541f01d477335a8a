"""The trackers of a configuration."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from feature_lazy.runs.reading import Run
from feature_lazy.runs.store import Store
from feature_lazy.runs.tracking import Tracker, Trackers
from feature_lazy.runs.tracking.ensemble import MeanTracker
from feature_lazy.settings import config as schema
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.targets import factory

Maker = Callable[[], Tracker]


def build_tracking(config: schema.Tracking, store: Store, cells: Sequence[Cell]) -> Trackers:
    """Trackers that are made with the first run, and in a thread of their own.

    Args:
        config: which.
        store: where the runs are; trackers that write do it beside them.
        cells: members of the ensemble.
    """
    makers = {}
    for one in sinks(config):
        make = _maker(one, store.root)
        if make is not None:
            mean = isinstance(one, schema.Tracked) and one.ensemble == "mean" and len(cells) > 1
            makers[one.kind] = partial(_mean, make, store, cells) if mean else make
    return Trackers(makers)


def sinks(config: schema.Tracking) -> list[schema.Tracking]:
    """Each tracker of a configuration."""
    return [getattr(config, name) for name in config.sinks] if isinstance(config, schema.SeveralTracking) else [config]


def _mean(make: Maker, store: Store, cells: Sequence[Cell]) -> Tracker:
    def stored(run_id: str) -> Run | None:
        return store.load(run_id) if store.is_done(run_id) else None

    return MeanTracker(make(), cells, stored)


def _maker(config: schema.Tracking, root: Path) -> Maker | None:
    """What makes a tracker; the modules of most are imported with it, since most runs have none."""
    match config:
        case schema.WandbTracking() if config.mode != "disabled":
            return partial(wandb_tracker, config, root, online=config.mode == "online")
        case schema.JsonlTracking():
            return partial(_jsonl, root)
        case schema.TensorboardTracking():
            return partial(_tensorboard, root)
        case schema.TrackioTracking():
            return partial(_trackio, config, root)
        case schema.CustomTracking():
            return lambda: factory("tracking", config.target, config.kwargs)()
    return None


def wandb_tracker(config: schema.WandbTracking, root: Path, *, online: bool) -> Tracker:
    """W&B as a configuration describes it."""
    from feature_lazy.runs.tracking.wandb import Place, Wandb

    group = config.group or root.resolve().name
    return Wandb(
        root, Place(config.project, config.entity, group, tuple(config.tags), tuple(config.artifacts)), online=online
    )


def _jsonl(root: Path) -> Tracker:
    from feature_lazy.runs.tracking.jsonl import JsonLines

    return JsonLines(root / "tracking")


def _tensorboard(root: Path) -> Tracker:
    from feature_lazy.runs.tracking.tensorboard import TensorBoard

    return TensorBoard(root / "tensorboard")


def _trackio(config: schema.TrackioTracking, root: Path) -> Tracker:
    from feature_lazy.runs.tracking.trackio import Trackio

    return Trackio(config.project, root.resolve().name)
