"""The configuration of trackers: where runs are shown. Nothing here is part of a run's identity."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from feature_lazy.settings.key import kind, option


@dataclass
class Tracking:
    """Where runs are shown; never whether or how they train."""

    kind: str = MISSING


@dataclass
class NoTracking(Tracking):
    """Stored runs only."""

    kind: str = kind("none")


@dataclass
class Tracked(Tracking):
    """What all trackers have."""

    ensemble: str = option(
        "members", "an ensemble as a run for each member, or as their mean", choices=("members", "mean")
    )


@dataclass
class WandbTracking(Tracked):
    """Weights & Biases, one run for each cell."""

    kind: str = kind("wandb")
    mode: str = option(
        "offline", "offline writes files, `feature-lazy sync` sends them", choices=("offline", "online", "disabled")
    )
    project: str = option("feature_lazy", "project name")
    entity: str | None = option(None, "team or user; null: the account's default")
    group: str | None = option(None, "groups runs; null: the name of output_dir")
    tags: list[str] = option([], "tags of the runs")
    artifacts: list[str] = option([], "files in a run's directory to upload at its end, such as outputs.safetensors")


@dataclass
class JsonlTracking(Tracked):
    """A file of JSON lines for each run, in output_dir/tracking."""

    kind: str = kind("jsonl")


@dataclass
class TensorboardTracking(Tracked):
    """TensorBoard's event files, in output_dir/tensorboard."""

    kind: str = kind("tensorboard")


@dataclass
class TrackioTracking(Tracked):
    """Trackio, in its own folder."""

    kind: str = kind("trackio")
    project: str = option("feature_lazy", "project name")


@dataclass
class CustomTracking(Tracked):
    """Your own tracker (docs/tracking.md)."""

    kind: str = kind("custom")
    target: str = option("", "import path of what makes the tracker, such as mypackage.Tracker")
    kwargs: dict[str, Any] = option({}, "its keyword arguments, such as {folder: ${output_dir}}")


@dataclass
class SeveralTracking(Tracking):
    """Several of them at once; each has its keys under its name."""

    kind: str = kind("several")
    sinks: list[str] = option(
        ["wandb", "jsonl"], "which", choices=("wandb", "jsonl", "tensorboard", "trackio", "custom")
    )
    wandb: WandbTracking = field(default_factory=WandbTracking)
    jsonl: JsonlTracking = field(default_factory=JsonlTracking)
    tensorboard: TensorboardTracking = field(default_factory=TensorboardTracking)
    trackio: TrackioTracking = field(default_factory=TrackioTracking)
    custom: CustomTracking = field(default_factory=CustomTracking)


TRACKING: tuple[type, ...] = (
    NoTracking,
    WandbTracking,
    JsonlTracking,
    TensorboardTracking,
    TrackioTracking,
    CustomTracking,
    SeveralTracking,
)
