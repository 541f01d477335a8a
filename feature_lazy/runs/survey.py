"""How every run of a results folder stands, from the files alone: also while jobs run, and on another machine."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import exists, probe
from feature_lazy.runs.failures import reason
from feature_lazy.runs.history import last_row
from feature_lazy.runs.plan import PlannedJob, PlannedRun, read_plans
from feature_lazy.runs.reading import (
    HISTORY,
    DamagedRunError,
    MisnamedRunError,
    Run,
    UnreadableRunError,
    is_done,
    load_run,
    reading,
)
from feature_lazy.runs.store.lease import Sign, last_sign
from feature_lazy.runs.sweep import folders
from feature_lazy.settings.cells import SCIENCE_VERSION, science_key

BUDGETS = ("max_steps", "time_budget")
"""Outcomes of runs that a budget stopped: they go on when it is raised."""


class RunState(StrEnum):
    """How a run stands."""

    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"


"""A run that is ``UNREADABLE`` now is not known, and is left alone."""


WRONG = (RunState.FAILED, RunState.DAMAGED, RunState.UNREADABLE)
"""States that a person must do something about."""


@dataclass(frozen=True)
class Entry:
    """One run, as it stands.

    Attributes:
        run_id: its id.
        state: how it stands.
        columns: flat values to sort by; empty if its manifest is damaged.
        run: what is stored of it, if it can be read.
        job: how to train it, if somebody asked for it here.
        owner: who trains it, or did last.
        note: why it failed, stopped, or counts as new.
        row: its last observation.
        in_queue: whether SLURM has it, so that nobody else should train it.
    """

    run_id: str
    state: RunState
    columns: dict[str, Any]
    run: Run | None = None
    job: PlannedJob | None = None
    owner: str = ""
    note: str = ""
    row: dict[str, float] = field(default_factory=dict)
    in_queue: bool = False

    @property
    def progress(self) -> float:
        """Fraction of the training patterns that are fit: 1 when training has converged."""
        if self.state is RunState.DONE:
            return 1.0
        patterns = self.columns.get("P") or 0
        return 1 - self.row["train/unfit"] / patterns if patterns and "train/unfit" in self.row else 0.0

    @property
    def seconds(self) -> float:
        """Wall time of the run: its share of that of those that were trained together; 0 where none is stored."""
        provenance = self.run.provenance if self.run else {}
        return float(provenance.get("wall_seconds") or 0.0) / max(1, int(provenance.get("trained_together") or 1))


@dataclass(frozen=True)
class Survey:
    """All runs of a results folder: what is stored, and what was asked for.

    Attributes:
        root: the folder.
        entries: by h, √h·α and seed.
        problems: what could not be read, a sentence each.
    """

    root: Path
    entries: list[Entry]
    problems: list[str]

    def folder(self, entry: Entry) -> Path:
        """Directory of a run."""
        return self.root / "runs" / entry.run_id

    def again(self, before: Entry) -> Entry:
        """How a run stands by now."""
        now = _time_of_the_files(self.root)
        return look_at(self.folder(before), (PlannedRun(before.run_id, before.columns, {}), before.job), now)

    def having(self, *states: RunState) -> list[Entry]:
        """The runs in some states."""
        return [entry for entry in self.entries if entry.state in states]


def survey(root: Path) -> Survey:
    """Look at a results folder.

    Raises:
        StoreError: it is no results folder.
    """
    names, problems = folders(root)
    if not (names or problems or exists(root / "runs")):
        raise StoreError(f"There are no runs in {root}; name a results folder, such as results/demo.")
    jobs, wrong = read_plans(root)
    problems += wrong
    planned = {run.run_id: (run, job) for job in jobs for run in job.runs}
    now = _time_of_the_files(root)
    entries = {}
    for name in names:
        try:
            entries[name] = look_at(root / "runs" / name, planned.get(name), now)
        except MisnamedRunError as error:
            problems.append(str(error))
    entries = _outdated(entries, planned)
    older = _older(entries.values())
    for run_id, (run, job) in planned.items():
        if run_id not in entries:
            note = _why_new(run, older)
            entries[run_id] = Entry(run_id, RunState.QUEUED, run.columns, job=job, note=note)
    return Survey(root, sorted(entries.values(), key=_order), problems)


def look_at(folder: Path, planned: tuple[PlannedRun, PlannedJob | None] | None, now: float) -> Entry:
    """How the run in a directory stands.

    Args:
        folder: the directory.
        planned: the run as somebody asked for it, and its job.
        now: what the clock says that stamps these files, in Unix seconds.

    Raises:
        MisnamedRunError: it is another run than the directory's name says.
    """
    columns, job = (planned[0].columns, planned[1]) if planned else ({}, None)
    try:
        with reading(folder, "its directory"):
            return _entry(folder, columns, job, now)
    except DamagedRunError as error:
        return Entry(folder.name, RunState.DAMAGED, columns, job=job, note=error.what)
    except UnreadableRunError as error:
        return Entry(folder.name, RunState.UNREADABLE, columns, job=job, note=error.what)


def _entry(folder: Path, columns: dict[str, Any], job: PlannedJob | None, now: float) -> Entry:
    """As ``look_at``.

    Raises:
        DamagedRunError: the run is damaged.
        MisnamedRunError: it is another one.
        UnreadableRunError: it cannot be read now.
        OSError: its owner cannot.
    """
    run_id, run, note = folder.name, None, ""
    # Asked before the run is read: whose process ends in between is done, and not interrupted.
    sign = None if is_done(folder) else last_sign(folder)
    try:
        run = load_run(folder)
    except (DamagedRunError, MisnamedRunError, UnreadableRunError):
        raise
    except StoreError as error:
        # Claimed and not yet begun, or of a newer version.
        note = str(error) if is_done(folder) else ""
    columns = run.columns if run else columns
    if run is not None and run.done:
        return Entry(run_id, RunState.DONE, columns, run, job, note=str(run.summary.get("outcome", "")))
    state, why = _unfinished(folder, run, sign, now)
    owner = str(sign.owner) if sign and sign.owner else ""
    return Entry(run_id, state, columns, run, job, owner, note or why, last_row(folder / HISTORY))


def _unfinished(folder: Path, run: Run | None, sign: Sign | None, now: float) -> tuple[RunState, str]:
    """RunState of a run without ``done``, and why."""
    if sign is not None and sign.alive(now):
        return RunState.RUNNING, ""
    if (why := reason(folder)) is not None:
        return RunState.FAILED, why
    outcome = run.summary.get("outcome") if run else None
    if outcome in BUDGETS:
        return RunState.STOPPED, str(outcome)
    return RunState.INTERRUPTED, "" if outcome else "its process ended without a word"


def _time_of_the_files(root: Path) -> float:
    """What the clock says that stamps these files, which need not be this machine's."""
    try:
        return probe(root / "runs", below=root)
    except OSError:
        return time.time()


def _older(entries: "Iterator[Entry] | Any") -> dict[str, dict[str, Any]]:
    """Identities of stored runs by the key that does not know versions."""
    found = {}
    for entry in entries:
        if entry.run is not None:
            identity = entry.run.manifest.get("identity") or {"key": science_key(entry.run.config)}
            found[identity.get("key", "")] = identity
    return found


def _why_new(run: PlannedRun, older: dict[str, dict[str, Any]]) -> str:
    """Why a run that somebody asked for is not among those that are stored."""
    before = older.get(run.identity.get("key", ""))
    if before is None:
        return ""
    if before.get("version") != run.identity.get("version"):
        was = before.get("version", f"before {SCIENCE_VERSION}")
        return f"new: stored by science version {was}, and this is {run.identity.get('version')}"
    was, now = (identity.get("options", {}) for identity in (before, run.identity))
    for name in sorted({*was, *now}):
        if was.get(name, 1) != now.get(name, 1):
            return f"new: stored by version {was.get(name, 1)} of {name}, and this is {now.get(name, 1)}"
    if before.get("code") != run.identity.get("code"):
        return "new: the source of its custom target has changed"
    changed = before.get("content") != run.identity.get("content")
    return "new: the data have changed since" if changed else ""


def _outdated(entries: dict[str, Entry], planned: dict[str, tuple[PlannedRun, PlannedJob]]) -> dict[str, Entry]:
    """The same entries, with a note where the latest run of the same science is one on other data."""
    latest: dict[str, tuple[str, str]] = {}
    for run_id, (run, _) in planned.items():
        if run_id not in entries:
            latest[_kin(run.identity)] = (_NOT_BEGUN, run_id)
    for entry in entries.values():
        if entry.run is not None and (key := _kin(entry.run.manifest.get("identity") or {})):
            latest[key] = max(latest.get(key, ("", "")), (_begun(entry.run), entry.run_id))
    found = {}
    for run_id, entry in entries.items():
        key = _kin(entry.run.manifest.get("identity") or {}) if entry.run is not None else ""
        note = f"{entry.note}, and the data have changed since" if key and latest[key][1] != run_id else entry.note
        found[run_id] = replace(entry, note=note.removeprefix(", and "))
    return found


_NOT_BEGUN = "~"
"""Sorts after every date."""


def _kin(identity: dict[str, Any]) -> str:
    """The same for runs that differ in the content of their data alone; empty where that cannot be told."""
    known = {name: value for name, value in identity.items() if name != "content"}
    return json.dumps(known, sort_keys=True) if "key" in known else ""


def _begun(run: Run) -> str:
    """When a run was first begun, as its manifest has it."""
    segments = run.provenance.get("segments")
    first = segments[0] if isinstance(segments, list) and segments and isinstance(segments[0], dict) else {}
    return str(first.get("started", ""))


def _order(entry: Entry) -> tuple[Any, ...]:
    numbers = (entry.columns.get(key) for key in ("h", "sqrt_h_alpha", "seed"))
    return (*(float(n) if isinstance(n, int | float) else -1.0 for n in numbers), entry.run_id)
