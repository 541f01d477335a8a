"""Which SLURM job trains which run: ``slurm/NAME.json`` in the results folder, a file for each submission."""

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import create_exclusively, listed, read_stored, write_atomically
from feature_lazy.core.shapes import NUMBER, OBJECT, TEXT, Items, Plain, Record

FOLDER = "slurm"
SCHEMA = 1
INSIDE = Plain("a folder below the results folder", lambda value: isinstance(value, str) and _inside(value))
SHAPE = Record(
    {
        "schema": NUMBER,
        "name": TEXT,
        "settings": OBJECT,
        "snapshot": INSIDE,
        "jobs": Record(rest=Items(TEXT)),
        "logs": Record(rest=TEXT),
        "cancelled": Items(TEXT),
    }
)
"""What every submission is, whoever wrote it."""
JOB = re.compile(r"\d+(_\d+)?")
"""Ids that SLURM gives, and takes on a command line."""


@dataclass(frozen=True)
class Submission:
    """What was handed to SLURM at once.

    Attributes:
        name: its name, which sorts by time.
        settings: the launcher's settings, to do it again.
        snapshot: folder of the frozen source, relative to the results folder.
        jobs: run ids of each job, by SLURM's id.
        logs: standard error of each job, by SLURM's id.
        cancelled: jobs that were cancelled from here; of tasks that never started SLURM keeps no account.
    """

    name: str
    settings: dict[str, Any]
    snapshot: str
    jobs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)
    cancelled: tuple[str, ...] = ()

    def plus(self, jobs: Mapping[str, tuple[str, ...]], logs: Mapping[str, str]) -> "Submission":
        """The same with more jobs."""
        return replace(self, jobs={**self.jobs, **jobs}, logs={**self.logs, **logs})


@dataclass(frozen=True)
class Assignment:
    """The job that a run was given to last."""

    job: str
    log: str
    submission: Submission


def note_cancelled(root: Path, jobs: Collection[str]) -> None:
    """Write down which jobs were cancelled.

    Raises:
        StoreError: a submission cannot be written.
    """
    for submission in read(root)[0]:
        if ours := set(jobs) & set(submission.jobs):
            write(root, replace(submission, cancelled=tuple(sorted({*submission.cancelled, *ours}))))


def begin(root: Path, settings: dict[str, Any], snapshot: str) -> Submission:
    """A submission without jobs so far, under a name that no other has.

    Raises:
        StoreError: the folder cannot be written.
    """
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    names = (f"{stamp}{f'-{number}' if number else ''}" for number in count())
    while True:
        submission = Submission(next(names), settings, snapshot)
        with writing(_path(root, submission)):
            if create_exclusively(_path(root, submission), _encoded(submission), below=root):
                return submission


def write(root: Path, submission: Submission) -> None:
    """Write a submission down.

    Raises:
        StoreError: the folder cannot be written.
    """
    with writing(_path(root, submission)):
        write_atomically(_path(root, submission), _encoded(submission), below=root)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name the file that cannot be written.

    Raises:
        StoreError: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}).") from error


def _path(root: Path, submission: Submission) -> Path:
    return root / FOLDER / f"{submission.name}.json"


def _encoded(submission: Submission) -> bytes:
    return json.dumps({"schema": SCHEMA, **asdict(submission)}, indent=1).encode()


def read(root: Path) -> tuple[list[Submission], list[str]]:
    """All submissions to a results folder, the latest last, and a sentence for each that is damaged."""
    found, problems = [], []
    try:
        paths = listed(root / FOLDER, "*.json")
    except OSError as error:
        return [], [f"{root / FOLDER} cannot be read now ({error.strerror}): which SLURM jobs there are is not known."]
    for path in sorted(paths, key=lambda path: path.stem):
        try:
            found.append(_parsed(path.stem, json.loads(read_stored(path))))
        except OSError as error:
            problems.append(
                f"{path} cannot be read now ({error.strerror}): which SLURM jobs train these runs is not known."
            )
        except (ValueError, RecursionError) as error:
            problems.append(f"{path} is damaged ({error}): which SLURM jobs train these runs is not known. Remove it.")
    return found, problems


def _inside(folder: str) -> bool:
    path = PurePosixPath(folder)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in folder


def _parsed(name: str, values: Any) -> Submission:
    """A submission, of a file with this name.

    Raises:
        ValueError: it is of another schema or name, or none that this program would write.
    """
    if why := SHAPE.misfit(values):
        raise ValueError(why)
    if values.pop("schema") != SCHEMA:
        raise ValueError("it is of another version")
    if values["name"] != name:
        raise ValueError(f"it says that its name is {values['name']!r}")
    if odd := [job for job in (*values["jobs"], *values["cancelled"]) if not JOB.fullmatch(job)]:
        raise ValueError(f"{odd[0]!r} is no job of SLURM's")
    jobs = {str(job): tuple(map(str, runs)) for job, runs in values.pop("jobs").items()}
    return Submission(jobs=jobs, cancelled=tuple(map(str, values.pop("cancelled"))), **values)


def assignments(submissions: list[Submission]) -> dict[str, Assignment]:
    """The latest job of each run."""
    return {
        run: Assignment(job, submission.logs.get(job, ""), submission)
        for submission in submissions
        for job, runs in submission.jobs.items()
        for run in runs
    }
