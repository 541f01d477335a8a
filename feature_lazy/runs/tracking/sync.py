"""Stored runs as parcels for W&B: which there are, and sending them once each."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import read_regular, set_time, write_atomically
from feature_lazy.core.shapes import ANYTHING, NOTHING, TEXT, Items, Record
from feature_lazy.runs.reading import Run
from feature_lazy.runs.survey import Entry, Survey
from feature_lazy.runs.tracking.ensemble import EnsembleCell, MeanTracker
from feature_lazy.runs.tracking.interface import Tracker
from feature_lazy.runs.tracking.refusals import reason
from feature_lazy.runs.tracking.replay import cell_of, replay
from feature_lazy.runs.tracking.wandb import Place, Wandb, offline_folders, place_for_logs, refuse_settings_here
from feature_lazy.settings.cells import Cell

_TEXT = TEXT | NOTHING
_TEXTS = Items(TEXT) | NOTHING
PLACE = Record(
    known={"project": _TEXT, "entity": _TEXT, "group": _TEXT, "tags": _TEXTS, "artifacts": _TEXTS}, rest=ANYTHING
)
"""What a stored configuration says of where its run is shown."""


@dataclass(frozen=True)
class Parcel:
    """What is one run in W&B: a stored run, or an ensemble of them.

    Attributes:
        runs: the stored runs; of a run that is not an ensemble, one.
        members: how many runs it is made of: more than there are of an ensemble that is not done.
        mean: whether it is their mean.
        place: where it goes.
    """

    runs: Sequence[Run]
    members: int
    mean: bool
    place: Place

    @property
    def cell(self) -> Cell:
        """What W&B is told that it is."""
        return EnsembleCell.of([cell_of(run) for run in self.runs]) if self.mean else cell_of(self.runs[0])

    @property
    def complete(self) -> bool:
        """Whether all of its runs are there; a mean over some members would not be that of the ensemble."""
        return len(self.runs) == self.members

    @property
    def run_id(self) -> str:
        """Its id in W&B."""
        return self.cell.run_id

    @property
    def content(self) -> dict[str, Any]:
        """What tells the present state from the one that was sent last."""
        return {run.run_id: [len(run.rows), *map(run.summary.get, ("outcome", "t", "steps"))] for run in self.runs}

    def show(self, tracker: Tracker) -> None:
        """Show it to a tracker.

        Raises:
            DamagedRunError: a history is damaged.
        """
        target = MeanTracker(tracker, [cell_of(run) for run in self.runs], lambda _: None) if self.mean else tracker
        if self.mean:
            for run in self.runs:
                target.start(cell_of(run), run.rows)
            for run in self.runs:
                target.finish(cell_of(run), run.summary)
        else:
            replay(self.runs[0], target)


def parcels(found: Survey, chosen: Sequence[Entry], *, everything: bool) -> list[Parcel]:
    """What there is to send of some runs of a results folder.

    Args:
        found: all runs.
        chosen: those that are meant.
        everything: whether runs that were not tracked by W&B count, too.
    """
    runs = {entry.run_id: entry.run for entry in found.entries if entry.run is not None}
    result: dict[str, Parcel] = {}
    for entry in chosen:
        if entry.run is None:
            continue
        config = _wandb_config(entry.run.manifest.get("resolved", {}).get("tracking", {}))
        if config is None and not everything:
            continue
        place = _place(config or {}, found.root)
        members = [planned.run_id for planned in entry.job.runs] if entry.job else [entry.run_id]
        if (config or {}).get("ensemble") == "mean" and len(members) > 1:
            done = [runs[member] for member in members if member in runs and runs[member].done]
            parcel = Parcel(done or [entry.run], len(members), True, place)
        else:
            parcel = Parcel([entry.run], 1, False, place)
        result.setdefault(parcel.run_id, parcel)
    return list(result.values())


def _wandb_config(tracking: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The keys of W&B in a stored configuration, None if it did not use it."""
    if tracking.get("kind") == "several":
        own, sinks = tracking.get("wandb"), tracking.get("sinks")
        if not (isinstance(own, Mapping) and isinstance(sinks, list) and "wandb" in sinks):
            return None
        tracking = own
    return tracking if tracking.get("kind") == "wandb" and tracking.get("mode") != "disabled" else None


def _place(config: Mapping[str, Any], root: Path) -> Place:
    if PLACE.misfit(dict(config)):
        config = {}  # none that this program has written
    group = config.get("group") or root.resolve().name
    return Place(
        config.get("project") or "feature_lazy",
        config.get("entity"),
        group,
        tuple(config.get("tags") or ()),
        tuple(config.get("artifacts") or ()),
    )


class Sender:
    """Sends parcels, each once, and remembers it in ``root/wandb/synced``; safe to call from several threads."""

    def __init__(self, root: Path) -> None:
        """Look where the server is; W&B is imported here.

        Raises:
            ConfigError: see ``refuse_settings_here``.
        """
        import wandb

        refuse_settings_here()
        place_for_logs()
        self.root = root
        self.server = wandb.setup(wandb.Settings(silent=True)).settings.base_url

    def has_sent(self, parcel: Parcel) -> bool:
        """Whether the same had been sent to the same place before."""
        try:
            return json.loads(read_regular(self._note(parcel))) == self._said(parcel)
        except (OSError, ValueError, StoreError):
            return False

    def send(self, parcel: Parcel) -> str | None:
        """Send one parcel: None, or a sentence that says why it is left."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                tracker = Wandb(self.root, parcel.place, online=True, fallback=False, folder=Path(folder))
                parcel.show(tracker)
                reached, rows = tracker.reached(parcel.cell), tracker.steps.get(parcel.run_id, 0)
            if reached < rows:
                return f"The server has {reached} of {rows} observations; repeat the command."
            write_atomically(self._note(parcel), json.dumps(self._said(parcel)).encode(), below=self.root)
            for folder in offline_folders(self.root, parcel.run_id):
                # What `wandb sync` leaves, and looks for.
                set_time(folder / f"run-{parcel.run_id}.wandb.synced", below=self.root)
        except Exception as error:
            return reason(error, parcel.place)
        return None

    def _note(self, parcel: Parcel) -> Path:
        return self.root / "wandb" / "synced" / f"{parcel.run_id}.json"

    def _said(self, parcel: Parcel) -> dict[str, Any]:
        place = [self.server, parcel.place.entity, parcel.place.project]
        return {"place": place, "content": parcel.content}
