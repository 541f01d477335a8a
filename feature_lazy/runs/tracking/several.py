"""Several trackers at once, as an option of the group ``tracking``."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

from feature_lazy.runs.tracking.jsonl import JsonlTracking
from feature_lazy.runs.tracking.options import CustomTracking
from feature_lazy.runs.tracking.tensorboard import TensorboardTracking
from feature_lazy.runs.tracking.trackio import TrackioTracking
from feature_lazy.runs.tracking.wandb import WandbTracking
from feature_lazy.settings.groups import Tracking
from feature_lazy.settings.key import key, part
from feature_lazy.settings.registry import find, option, options

if TYPE_CHECKING:
    from feature_lazy.settings.config import Config


@option("tracking", "several")
class SeveralTracking(Tracking):
    """Several of them at once; each has its keys under its name, one from a plug-in its defaults."""

    sinks: list[str] = key(["wandb", "jsonl"], "names of the trackers")
    wandb: WandbTracking = part(WandbTracking)
    jsonl: JsonlTracking = part(JsonlTracking)
    tensorboard: TensorboardTracking = part(TensorboardTracking)
    trackio: TrackioTracking = part(TrackioTracking)
    custom: CustomTracking = part(CustomTracking)

    def _allowed(self) -> list[str]:
        own = [f.name for f in fields(self) if f.metadata.get("part")]
        return [*own, *(name for name in options("tracking") if name not in ("none", "several", *own))]

    def each(self) -> list[Tracking]:
        return [getattr(self, name, None) or cast(Tracking, find("tracking", name)()) for name in self.sinks]

    def problems(self, config: "Config") -> Iterator[str]:
        allowed = self._allowed()
        unknown = [name for name in self.sinks if name not in allowed]
        for name in unknown:
            yield f"tracking.sinks={name}: must be one of {', '.join(allowed)}."
        for one in self.each() if not unknown else []:
            yield from one.problems(config)

    def own_code(self) -> list[str]:
        return [target for one in self.each() for target in one.own_code()]

    def maker(self, root: Path) -> None:
        return None  # each has its own
