"""Reading stored runs. Opening a results folder runs no code of whoever wrote it: JSON and safetensors only."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import read_regular
from feature_lazy.core.redaction import printable
from feature_lazy.measure.quantities import QUANTITIES
from feature_lazy.measure.quantity import Quantity, from_manifest
from feature_lazy.runs.history import decode

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
OUTPUTS = "outputs.safetensors"
ERROR = "error.txt"
DONE = "done"
REQUIRED = {
    "run_id": str,
    "config": dict,
    "columns": dict,
    "summary": dict,
    "provenance": dict,
    "files": dict,
}
"""What every manifest has, and its type."""


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
        """Outcome, times, counts, and the last value of every observable; empty until training stops."""
        return self.manifest["summary"]

    @property
    def quantities(self) -> dict[str, Quantity]:
        """What its numbers are, by column or by a pattern (``measure.quantity.quantity_of``).

        The default set's are this version's; those of ``observe/also`` are stored with the run that recorded them.
        """
        return {**QUANTITIES, **from_manifest(self.manifest.get("quantities"))}

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
            return decode(data, whole=self.done)
        except (ValueError, TypeError, RecursionError) as error:
            raise DamagedRunError(self.path, f"{HISTORY} cannot be read ({error})") from error

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """F, f₀ and y at the end on the whole sets: ``F_train``, ``F_test``, ``f0_train``, … → (patterns,).

        F and f₀ are (patterns, outputs) where a network has several, and y are then the ranks of the classes.

        Raises:
            DamagedRunError: the file is missing or damaged.
        """
        try:
            return load(self._read(OUTPUTS))
        except SafetensorError as error:
            raise DamagedRunError(self.path, f"{OUTPUTS} cannot be read ({error})") from error

    def verify(self) -> None:
        """Check every file of a complete run against its checksum; of others there is nothing to check.

        Raises:
            DamagedRunError: a file that is missing or differs.
        """
        for name in (HISTORY, OUTPUTS) if self.done else ():
            self._read(name)

    def _so_far(self) -> bytes:
        try:
            return read_regular(self.path / HISTORY)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise DamagedRunError(self.path, f"{HISTORY} cannot be read ({error.strerror})") from error

    def _read(self, name: str) -> bytes:
        try:
            data = read_regular(self.path / name)
        except OSError as error:
            raise DamagedRunError(self.path, f"{name} cannot be read ({error.strerror})") from error
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


def checksum(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest's content, the entry ``sha256`` left out."""
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_run(path: Path | str) -> Run:
    """Load one stored run from its directory.

    Raises:
        StoreError: there is no run, or it was written by a newer version.
        DamagedRunError: its manifest is missing or changed.
        MisnamedRunError: the directory has another name than the run.
    """
    path = Path(path)
    try:
        text = read_regular(path / MANIFEST)
        manifest = json.loads(text)
        schema = manifest["schema"]
    except (FileNotFoundError, NotADirectoryError) as error:
        if (path / DONE).exists():
            raise DamagedRunError(path, f"{MANIFEST} is missing") from error
        raise StoreError(f"There is no stored run in {path}.") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRunError(path, f"{MANIFEST} cannot be read ({error})") from error
    if schema not in range(1, SCHEMA_VERSION + 1):
        raise StoreError(
            f"The run {path} has schema {schema}, this version reads 1 … {SCHEMA_VERSION}; "
            "use the version that wrote it, or a newer one."
        )
    done = _is_done(path, text)
    for name, kind in REQUIRED.items():
        if not isinstance(manifest.get(name), kind):
            raise DamagedRunError(path, f"{MANIFEST} lacks {name}")
    # Schema 1 had no checksum of its own.
    if schema > 1 and manifest.get("sha256") != checksum(manifest):
        raise DamagedRunError(path, f"{MANIFEST} does not match its checksum")
    if manifest["run_id"] != path.absolute().name:
        raise MisnamedRunError(path, printable(manifest["run_id"]))
    return Run(path, manifest, done)


def _is_done(path: Path, manifest: bytes) -> bool:
    """Whether the run is complete.

    Raises:
        DamagedRunError: it is said to be, of another manifest.
    """
    try:
        content = read_regular(path / DONE)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DamagedRunError(path, f"{DONE} cannot be read ({error.strerror})") from error
    if content != hashlib.sha256(manifest).hexdigest().encode():
        raise DamagedRunError(path, f"{MANIFEST} does not match the checksum in {DONE}")
    return True
