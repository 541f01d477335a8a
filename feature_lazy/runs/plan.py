"""What is to be trained, and what of it is done: answered from the files alone and without PyTorch.

Every sweep leaves a plan in the results folder, ``plans/HASH.json``: the resolved configuration of each job and the
runs that come of it. So it is known what is missing, and how to train it, when the command that began it is forgotten.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import listed, read_stored, remove, write_atomically
from feature_lazy.core.shapes import NUMBER, TEXT, Items, Plain, Record
from feature_lazy.runs.reading import COLUMNS, CONFIG, IDENTITY, Run, checksum
from feature_lazy.runs.series import WEIGHTS
from feature_lazy.runs.store import Store
from feature_lazy.settings.cells import Cell, cells
from feature_lazy.settings.config import Config
from feature_lazy.settings.observing import Observe

PLANS = "plans"
PLAN_SCHEMA = 1
RUN_ID = Plain("a run's id", lambda value: isinstance(value, str) and bool(re.fullmatch(r"\w[\w.-]{0,63}", value)))
PLAN = Record(
    {
        "schema": NUMBER,
        "sha256": TEXT,
        "jobs": Items(
            Record(
                {"config": CONFIG, "runs": Items(Record({"run_id": RUN_ID, "columns": COLUMNS, "identity": IDENTITY}))}
            )
        ),
    }
)
"""What every plan is, whoever wrote it: ids become names of folders."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that somebody asked for.

    Attributes:
        run_id: its id.
        columns: flat values to sort by.
        identity: science version and version-free key.
    """

    run_id: str
    columns: dict[str, Any]
    identity: dict[str, Any]


@dataclass(frozen=True)
class PlannedJob:
    """Runs that are trained together.

    Attributes:
        config: the resolved configuration, as plain values.
        runs: what comes of it.
    """

    config: dict[str, Any]
    runs: tuple[PlannedRun, ...]


def finished_runs(store: Store, wanted: Sequence[Cell]) -> dict[str, Run]:
    """The complete runs among some cells by run id, each checked in full.

    Raises:
        StoreError: a damaged run; it is named before anything is trained.
    """
    runs = {cell.run_id: store.load(cell.run_id) for cell in wanted if store.is_done(cell.run_id)}
    for run in runs.values():
        run.verify()
    return runs


WEIGHTS_ASKED = {"none": (), "ends": ("observe.weights=ends",), "all": ("observe.weights=ends", "observe.weights=all")}
"""What a run has with each choice of stored weights."""
TRAIN_ANEW = (
    "train them anew with observe.weights=ends or all, into another folder, output_dir=DIR, or here after moving their "
    "folders away"
)
"""What to do with a run that has no weights."""


def asked(observe: Observe) -> set[str]:
    """What a configuration asks to be recorded beside the default set: names of observables, and stored weights."""
    return names(observe.also) | {*WEIGHTS_ASKED[observe.weights]}


def unobserved(wanted: Sequence[tuple[set[str], Run | None]]) -> list[str]:
    """Sentences for a command that asks for more than its stored runs have recorded.

    What is recorded is no part of a run's identity: such runs count as done, and are not trained again.

    Args:
        wanted: of each run what is ``asked``, and what is stored, if it is.
    """
    lacking: dict[str, list[Run]] = {}
    for what, run in wanted:
        if run is not None:
            for name in what - _recorded(run):
                lacking.setdefault(name, []).append(run)
    return [
        f"{len(runs)} of {len(wanted)} runs lack {name}: they were recorded without it, and are done. "
        f"{_remedy(name, runs)}"
        for name, runs in sorted(lacking.items())
    ]


def _remedy(name: str, runs: Sequence[Run]) -> str:
    """How to have it in all runs: from stored weights where there are any."""
    anew = "train them anew: into another folder, output_dir=DIR, or here after moving their folders away."
    able = 0 if name.startswith("observe.weights=") else sum(WEIGHTS in run.kinds for run in runs)
    if not able:
        return f"To have it in all, {anew}"
    rest = f" Of the other {len(runs) - able} no weights are stored; {anew}" if able < len(runs) else ""
    measure = f"feature-lazy measure {runs[0].path.parent.parent} with the same observe/also and its keys"
    return f"{measure} records it from the stored weights of {able}.{rest}"


def _recorded(run: Run) -> set[str]:
    """What a run has of what can be ``asked``: from its training, or measured since."""
    observe = (run.manifest.get("resolved") or {}).get("observe", {})
    return names(stored_also(run)) | {*run.measured} | {*WEIGHTS_ASKED.get(observe.get("weights", "none"), ())}


def stored_also(run: Run) -> Mapping[str, Any]:
    """Observables that were chosen when the run was trained, with their keys as plain values."""
    return (run.manifest.get("resolved") or {}).get("observe", {}).get("also", {})


def names(also: Mapping[str, Any]) -> set[str]:
    """Names of observables, a user's own included, from options or from their plain values."""
    found: set[str] = set()
    for name, keys in also.items():
        own = keys.get("targets") if isinstance(keys, Mapping) else getattr(keys, "targets", None)
        found |= set(own) if isinstance(own, Mapping) else {name}
    return found


requested: list[Path] = []
"""Results folders that this process has asked for runs in, by a plan or by training: once for each time."""


def write_plan(root: Path, configs: Sequence[Config]) -> None:
    """Write down what a command asks for; the same again is the same file.

    Raises:
        StoreError: the folder cannot be written.
    """
    jobs = []
    for config in configs:
        runs = [PlannedRun(cell.run_id, cell.columns, cell.identity) for cell in cells(config)]
        jobs.append(PlannedJob(dataclasses.asdict(config), tuple(runs)))
    _write(root, jobs)
    requested.append(root)


def write_plans(configs: Sequence[Config]) -> None:
    """See ``write_plan``, for the jobs of each results folder among them.

    Raises:
        StoreError: a folder cannot be written.
    """
    for root in dict.fromkeys(config.output_dir for config in configs):
        write_plan(Path(root), [config for config in configs if config.output_dir == root])


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Plans in a results folder, and by what one that is written anew is told apart.

    Raises:
        OSError: it cannot be found out.
    """
    return {path.name: ((found := path.lstat()).st_mtime_ns, found.st_ino) for path in listed(root / PLANS, "*.json")}


def read_plans(root: Path, names: Collection[str] | None = None) -> tuple[list[PlannedJob], list[str]]:
    """All jobs that were asked for in a results folder, the latest last, and a sentence for each damaged plan.

    Args:
        root: the folder.
        names: of the plans' files; all if omitted.
    """
    found: list[tuple[float, list[PlannedJob]]] = []
    problems = []
    try:
        paths = listed(root / PLANS, "*.json")
    except OSError as error:
        return [], [f"{root / PLANS} cannot be read now ({error.strerror}): what was asked for is not known."]
    for path in paths:
        if names is not None and path.name not in names:
            continue
        try:
            found.append((path.lstat().st_mtime, _read(path)))
        except FileNotFoundError:
            continue  # replaced just now
        except OSError as error:
            problems.append(f"The plan {path} cannot be read now ({error.strerror}): look again when it can.")
        except (ValueError, RecursionError) as error:
            problems.append(f"The plan {path} is damaged ({error}). Remove it, and repeat the sweep's command.")
    return [job for _, jobs in sorted(found, key=lambda one: one[0]) for job in jobs], problems


def forget(root: Path, run_ids: Collection[str]) -> None:
    """Take runs out of all plans.

    Raises:
        StoreError: a plan cannot be written.
    """
    with writing_plan(root / PLANS):
        paths = listed(root / PLANS, "*.json")
    for path in paths:
        try:
            jobs = _read(path)
        except (OSError, ValueError, RecursionError):
            continue
        kept = [PlannedJob(job.config, tuple(run for run in job.runs if run.run_id not in run_ids)) for job in jobs]
        kept = [job for job in kept if job.runs]
        if kept != jobs:
            _write(root, kept)
            with writing_plan(path):
                remove(path, below=root)


def _read(path: Path) -> list[PlannedJob]:
    """The jobs of one plan.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read now.
    """
    plan = json.loads(read_stored(path))
    if why := PLAN.misfit(plan):
        raise ValueError(why)
    if plan["schema"] != PLAN_SCHEMA or plan["sha256"] != checksum(plan):
        raise ValueError("it does not match its checksum")
    return [PlannedJob(job["config"], tuple(PlannedRun(**run) for run in job["runs"])) for job in plan["jobs"]]


def _write(root: Path, jobs: Sequence[PlannedJob]) -> None:
    if not jobs:
        return
    plan = {"schema": PLAN_SCHEMA, "jobs": [dataclasses.asdict(job) for job in jobs]}
    name = hashlib.sha256("\n".join(run.run_id for job in jobs for run in job.runs).encode()).hexdigest()[:16]
    path = root / PLANS / f"{name}.json"
    with writing_plan(path):
        write_atomically(path, json.dumps({**plan, "sha256": checksum(plan)}).encode(), below=root)


@contextmanager
def writing_plan(path: Path) -> Iterator[None]:
    """Name the plan that cannot be written.

    Raises:
        StoreError: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"The plan {path} cannot be written ({error.strerror}).") from error
