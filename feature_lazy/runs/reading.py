"""Reading stored runs. Opening a results folder runs no code of whoever wrote it: JSON and safetensors only."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import NotAFileError, exists, read_stored
from feature_lazy.core.redaction import clean, printable
from feature_lazy.core.shapes import ANYTHING, NOTHING, NUMBER, OBJECT, SCALAR, TEXT, Items, Record
from feature_lazy.core.shown import short
from feature_lazy.core.shown import table as html_table
from feature_lazy.measure.quantities import QUANTITIES
from feature_lazy.measure.quantity import Quantity, from_manifest
from feature_lazy.runs.history import decode
from feature_lazy.runs.measured import END, Measured
from feature_lazy.runs.measured import read as read_measured
from feature_lazy.runs.series import KINDS, SERIES, WEIGHTS, stored_name
from feature_lazy.settings.config import Config

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
OUTPUTS = "outputs.safetensors"
ERROR = "error.txt"
DONE = "done"
CHOSEN = ("dataset", "labels", "architecture", "parametrisation", "activation", "loss", "dynamics")
COLUMNS = Record(
    dict.fromkeys(("h", "sqrt_h_alpha", "seed"), NUMBER),
    # What a user's own network does not have is null: its layers are not known.
    {"alpha": NUMBER, **dict.fromkeys(("P", "L"), NUMBER | NOTHING), **dict.fromkeys(CHOSEN, TEXT | NOTHING)},
    rest=SCALAR,
)
"""What runs are sorted by."""
SEGMENT = Record(
    known={"started": TEXT, "ended": TEXT, "host": TEXT, "peak_memory": NUMBER, "wall_seconds": NUMBER}, rest=ANYTHING
)
PROVENANCE = Record(
    known={
        "versions": Record(rest=SCALAR),
        "git": OBJECT,
        "device": OBJECT,
        "segments": Items(SEGMENT),
        "wall_seconds": NUMBER | NOTHING,
        "trained_together": NUMBER | NOTHING,
    },
    rest=ANYTHING,
)
GROUPS = [one.name for one in fields(Config) if "group" in one.metadata]
CONFIG = Record(known=dict.fromkeys(GROUPS, OBJECT), rest=OBJECT | SCALAR | Items(ANYTHING))
"""A configuration as plain values, by group."""
OBSERVE = Record(known={"also": OBJECT}, rest=ANYTHING)
IDENTITY = Record(known={"key": TEXT, "options": OBJECT}, rest=ANYTHING)
COUNTS = ("t", "t_half", "t_stop", "steps", "rejected", "gradients", "kernels", "gradient_equivalents")
SUMMARY = Record(known={"outcome": TEXT, **dict.fromkeys((*COUNTS, *QUANTITIES), NUMBER | NOTHING)}, rest=SCALAR)
MANIFEST_SHAPE = Record(
    {
        "schema": NUMBER,
        "run_id": TEXT,
        "config": CONFIG,
        "columns": COLUMNS,
        "summary": SUMMARY,
        "provenance": PROVENANCE,
        "files": Record(rest=TEXT),
    },
    {
        "identity": IDENTITY | NOTHING,
        "inputs": Record(rest=TEXT),
        "resolved": Record(
            known={"tracking": OBJECT, "observe": Record(known={"also": OBJECT}, rest=ANYTHING)}, rest=ANYTHING
        ),
    },
    rest=ANYTHING,
)
"""What every manifest is, whoever wrote it."""
FIGURES = "feature_lazy.study.figures.quick"
"""What draws a run or a sweep, by name: what is dispatched may stand in a room above."""
SHOWN = ("outcome", "t_stop", "train/loss", "test/error", "kernel/change", "weights/change")
"""What a notebook shows of a run."""


@dataclass(frozen=True)
class Run:
    """One stored run. History and arrays are read, and checked against their checksums, when first used.

    Attributes:
        path: its directory.
        manifest: everything but history and arrays, as plain values.
        done: whether it is complete; a run that is being trained, or was stopped, is not.
    """

    path: Path
    manifest: dict[str, Any]
    done: bool

    def __repr__(self) -> str:
        """One line."""
        where = ", ".join(f"{name} = {short(self.columns.get(name))}" for name in ("h", "sqrt_h_alpha", "seed"))
        ended = self.summary.get("outcome", "no outcome yet") if self.done else "not complete"
        return clean(f"Run {self.run_id}: {where}; {ended}")

    def _repr_html_(self) -> str:
        """A short table, for notebooks."""
        return html_table(repr(self), ["", ""], [[name, self.summary.get(name)] for name in SHOWN])

    def plot(self, *names: str) -> "Figure":
        """Curves over training time, one below the other; by default loss, test error and kernel change.

        Raises:
            StoreError: an observable that the run does not have.
            DamagedRunError: a history that is damaged.
        """
        return import_module(FIGURES).of_run(self, names)

    def value(self, name: str) -> Any:
        """A column, a number of the summary, or a key of the configuration such as ``dynamics.lr``; else None."""
        for known in (self.columns, self.summary):
            if name in known:
                return known[name]
        return self.setting(name)

    def setting(self, name: str) -> Any:
        """A key of the configuration such as ``dynamics.lr``; else None."""
        found: Any = self.manifest.get("resolved") or self.config
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    @property
    def run_id(self) -> str:
        """Hash of the scientific configuration."""
        return self.manifest["run_id"]

    @property
    def config(self) -> dict[str, Any]:
        """The scientific configuration of this cell."""
        return self.manifest["config"]

    @property
    def columns(self) -> dict[str, Any]:
        """Flat values to sort by: h, alpha, sqrt_h_alpha, seed and so on."""
        return self.manifest["columns"]

    @property
    def summary(self) -> dict[str, Any]:
        """Outcome, times, counts, and the last value of every observable; empty until training stops.

        With what was measured since.
        """
        found = self.manifest["summary"]
        for one in self.measured.values():
            found = {**found, **one.summary}
        return found

    @property
    def measured(self) -> dict[str, Measured]:
        """What ``feature-lazy measure`` has recorded of a complete run since, by observable."""
        return self._measured[0]

    @cached_property
    def _measured(self) -> tuple[dict[str, Measured], list[str]]:
        return read_measured(self.path, self.manifest.get("sha256", "")) if self.done else ({}, [])

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What its numbers are, by column or by a pattern (``measure.quantity.quantity_of``).

        The default set's are this version's; those of ``observe/also`` are stored with the run that recorded them.
        """
        found = {**QUANTITIES, **from_manifest(self.manifest.get("quantities"))}
        for one in self.measured.values():
            found |= from_manifest(one.quantities)
        return found

    @property
    def inputs(self) -> dict[str, str]:
        """Fingerprints of data and initial weights; empty of a run from before they were kept."""
        return self.manifest.get("inputs") or {}

    @property
    def provenance(self) -> dict[str, Any]:
        """Where, when and with what it was made."""
        return self.manifest["provenance"]

    @cached_property
    def history(self) -> dict[str, np.ndarray]:
        """Every observable against the training time ``t``: name → (observations,).

        Of a run that is not complete, what was written so far.

        Raises:
            DamagedRunError: the file is missing or damaged.
            UnreadableRunError: it cannot be read now.
        """
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        return {name: np.array([row.get(name, np.nan) for row in self.rows]) for name in names}

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """The observations one by one; what was not measured at one is not in it.

        Raises:
            DamagedRunError: the file is missing or damaged.
        """
        data = self._read(HISTORY) if self.done else self._so_far()
        try:
            rows = decode(data, whole=self.done)
        except (ValueError, RecursionError) as error:
            raise DamagedRunError(self.path, f"{HISTORY} cannot be read ({error})") from error
        for one in self.measured.values():
            rows = [{**row, **one.rows.get(number, {})} for number, row in enumerate(rows)]
        return rows

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """F, f₀ and y at the end on the whole sets: ``F_train``, ``F_test``, ``f0_train``, … → (patterns,).

        F and f₀ are (patterns, outputs) where a network has several, and y are then the ranks of the classes.

        Raises:
            DamagedRunError: the file is missing or damaged.
        """
        found = self._tensors(OUTPUTS)
        for one in self.measured.values():
            ends = {
                place.partition("/")[2]: array for place, array in one.arrays.items() if place.startswith(f"{END}/")
            }
            found = {**ends, **found}
        return found

    @property
    def kinds(self) -> list[str]:
        """Which arrays over time it has: ``weights``, ``series``."""
        return [kind for kind in KINDS if stored_name(kind) in self.manifest["files"]]

    @property
    def arrays(self) -> dict[str, dict[int, np.ndarray]]:
        """Arrays over time by name, each by the number of its observation; weights are ``weights/…``.

        Raises:
            DamagedRunError: a file is missing or damaged.
        """
        weights = {f"{WEIGHTS}/{name}": by_number for name, by_number in self._weights.items()}
        return dict(sorted({**weights, **self._series}.items()))

    def over_time(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Training times (T,), and the array of that name at each, (T, …).

        Raises:
            StoreError: the run has no such array.
            DamagedRunError: a file is missing or damaged.
        """
        kind, _, weight = name.partition("/")
        by_number = self._weights.get(weight) if kind == WEIGHTS else self._series.get(name)
        if by_number is None:
            have = ", ".join(self.arrays) or "none"
            raise StoreError(f"The run {self.path} has no array {name!r} over time; there are: {have}.")
        return self.history["t"][list(by_number)], np.stack(list(by_number.values()))

    def weights(self, index: int = -1) -> dict[str, np.ndarray]:
        """Weights by name at one of the observations that have them: 0 is t = 0, −1 the end.

        Raises:
            StoreError: the run has none: it was trained with ``observe.weights=none``.
            DamagedRunError: a file is missing or damaged.
        """
        if not self.weight_numbers:
            raise StoreError(
                f"The run {self.path} has no weights; train it with observe.weights=ends or all to have them."
            )
        return self.weights_at(self.weight_numbers[index])

    @property
    def weight_numbers(self) -> list[int]:
        """Numbers of the observations that have weights."""
        return next((list(by_number) for by_number in self._weights.values()), [])

    def weights_at(self, number: int) -> dict[str, np.ndarray]:
        """Weights by name at the observation of that number, which has them."""
        return {name: by_number[number] for name, by_number in self._weights.items()}

    @cached_property
    def _weights(self) -> dict[str, dict[int, np.ndarray]]:
        return _by_number(self._tensors(stored_name(WEIGHTS)) if WEIGHTS in self.kinds else {})

    @cached_property
    def _series(self) -> dict[str, dict[int, np.ndarray]]:
        own = self._tensors(stored_name(SERIES)) if SERIES in self.kinds else {}
        since = {
            place: array
            for one in self.measured.values()
            for place, array in one.arrays.items()
            if not place.startswith(f"{END}/")
        }
        return _by_number({**since, **own})

    def verify(self) -> None:
        """Check every file of a complete run against its checksum; of others there is nothing to check.

        Raises:
            DamagedRunError: a file that is missing or differs.
            StoreError: a file of what was measured since is damaged, which counts as not measured.
        """
        for name in (HISTORY, OUTPUTS, *map(stored_name, self.kinds)) if self.done else ():
            self._read(name)
        if problems := self._measured[1]:
            raise StoreError("\n".join(problems))

    def _tensors(self, name: str) -> dict[str, np.ndarray]:
        try:
            return load(self._read(name))
        except (SafetensorError, ValueError, TypeError, KeyError) as error:
            raise DamagedRunError(self.path, f"{name} cannot be read ({error})") from error

    def _so_far(self) -> bytes:
        try:
            with reading(self.path, HISTORY):
                return read_stored(self.path / HISTORY)
        except FileNotFoundError:
            return b""

    def _read(self, name: str) -> bytes:
        try:
            with reading(self.path, name):
                data = read_stored(self.path / name)
        except FileNotFoundError as error:
            raise DamagedRunError(self.path, f"{name} is missing") from error
        if hashlib.sha256(data).hexdigest() != self.manifest["files"].get(name):
            raise DamagedRunError(self.path, f"{name} does not match its checksum")
        return data


class DamagedRunError(StoreError):
    """A stored run with a file that is missing, cut or changed."""

    def __init__(self, path: Path, what: str) -> None:
        """Name the run's directory and what is wrong with it."""
        self.path, self.what = path, what
        super().__init__(f"The stored run {path} is damaged: {what}. Remove this directory to train the run again.")


class MisnamedRunError(StoreError):
    """A copy of a run, or a renamed one: its numbers would count twice, or for another run."""

    def __init__(self, path: Path, run_id: str) -> None:
        """Name the directory, and the run that is in it."""
        super().__init__(
            f"{path} holds the run {run_id}, whose name it does not have, and is left alone: a copy would count twice. "
            f"Name it {run_id} again, or move it out of the results folder."
        )


class UnreadableRunError(StoreError):
    """A stored run that cannot be read now: nothing is known of what is in it, and nothing is done to it."""

    def __init__(self, path: Path, what: str) -> None:
        """Name the run's directory and why it cannot be read."""
        self.path, self.what = path, what
        super().__init__(
            f"The stored run {path} cannot be read now ({what}). That is no sign of damage: look again "
            "when it can be read, before anything is removed."
        )


@contextmanager
def reading(path: Path, name: str) -> Iterator[None]:
    """Tell a file of a run that is no file from one that cannot be read now.

    Raises:
        FileNotFoundError: there is none; what that means the caller knows.
        DamagedRunError: a link, a folder, a pipe.
        UnreadableRunError: whatever else the system says.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except NotAFileError as error:
        raise DamagedRunError(path, f"{name} cannot be read ({error})") from error
    except OSError as error:
        raise UnreadableRunError(path, f"{name}: {error.strerror}") from error


def is_done(path: Path) -> bool:
    """Whether a run's directory says that it is complete. One without ``done`` is what an interrupted job left.

    Raises:
        UnreadableRunError: that cannot be found out now.
    """
    with reading(path, DONE):
        return exists(path / DONE)


def _by_number(tensors: dict[str, np.ndarray]) -> dict[str, dict[int, np.ndarray]]:
    """Arrays called ``3/NAME`` by name, and by number in ascending order."""
    places = sorted((name, int(number), place) for place in tensors for number, _, name in [place.partition("/")])
    found: dict[str, dict[int, np.ndarray]] = {}
    for name, number, place in places:
        found.setdefault(name, {})[number] = tensors[place]
    return found


def checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content, the entry ``sha256`` left out."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_run(path: Path | str) -> Run:
    """Load one stored run from its directory.

    Raises:
        StoreError: there is no run, or it was written by a newer version.
        DamagedRunError: its manifest is missing or changed, or none that this program would write.
        MisnamedRunError: the directory has another name than the run.
        UnreadableRunError: it cannot be read now.
    """
    path = Path(path)
    # Before the manifest, which is written before it: of a run that ends in between the two would not fit.
    mark = _mark(path)
    try:
        with reading(path, MANIFEST):
            text = read_stored(path / MANIFEST)
        manifest = json.loads(text)
        schema = manifest["schema"]
    except FileNotFoundError as error:
        if mark is not None:
            raise DamagedRunError(path, f"{MANIFEST} is missing") from error
        raise StoreError(f"There is no stored run in {path}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRunError(path, f"{MANIFEST} cannot be read ({error})") from error
    if type(schema) is not int or schema not in range(1, SCHEMA_VERSION + 1):
        raise StoreError(
            f"The run {path} has schema {str(schema)[:20]}, this version reads 1 … {SCHEMA_VERSION}; "
            "use the version that wrote it, or a newer one."
        )
    if mark not in (None, hashlib.sha256(text).hexdigest().encode()):
        raise DamagedRunError(path, f"{MANIFEST} does not match the checksum in {DONE}")
    if why := MANIFEST_SHAPE.misfit(manifest):
        raise DamagedRunError(path, f"{MANIFEST}: {why}")
    # Schema 1 had no checksum of its own.
    if schema > 1 and manifest.get("sha256") != checksum(manifest):
        raise DamagedRunError(path, f"{MANIFEST} does not match its checksum")
    if manifest["run_id"] != path.absolute().name:
        raise MisnamedRunError(path, printable(manifest["run_id"]))
    return Run(path, manifest, mark is not None)


def _mark(path: Path) -> bytes | None:
    """What ``done`` has, the checksum of the manifest; None if the run is not complete.

    Raises:
        UnreadableRunError: it cannot be found out now.
    """
    try:
        with reading(path, DONE):
            return read_stored(path / DONE)
    except FileNotFoundError:
        return None
