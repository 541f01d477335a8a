"""Reading stored runs. Opening a results folder runs no code of whoever wrote it: JSON and safetensors only."""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load

from feature_lazy.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
HISTORY = "history.jsonl"
OUTPUTS = "outputs.safetensors"
CHECKPOINT = "checkpoint.safetensors"
DONE = "done"


@dataclass(frozen=True)
class Run:
    """One stored run. History and arrays are read, and checked against their checksums, when first used.

    Attributes:
        path: its directory.
        manifest: everything but history and arrays, as plain values.
        done: whether it is complete; a run stopped by a budget is not.
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
        """Outcome, times, counts, and the last value of every observable."""
        return self.manifest["summary"]

    @cached_property
    def history(self) -> dict[str, np.ndarray]:
        """Every observable against the training time ``t``: name → (observations,)."""
        rows = [json.loads(line) for line in self._read(HISTORY).decode().splitlines()]
        names = list(dict.fromkeys(name for row in rows for name in row))
        return {name: np.array([_number(row.get(name)) for row in rows]) for name in names}

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """F, f₀ and y at the end on the whole sets: ``F_train``, ``F_test``, ``f0_train``, … → (patterns,)."""
        return self.arrays(OUTPUTS)

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays in one of the run's files, checked against its checksum."""
        return load(self._read(name))

    def verify(self) -> None:
        """Check every file against its checksum.

        Raises:
            DamagedRunError: a file that is missing or differs.
        """
        for name in (HISTORY, OUTPUTS if self.done else CHECKPOINT):
            self._read(name)

    def _read(self, name: str) -> bytes:
        try:
            data = (self.path / name).read_bytes()
        except OSError as error:
            raise DamagedRunError(self.path, f"{name} cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != self.manifest["files"].get(name):
            raise DamagedRunError(self.path, f"{name} does not match its checksum")
        return data


def _number(value: float | None) -> float:
    return math.nan if value is None else value


class DamagedRunError(StoreError):
    """A stored run with a file that is missing, cut or changed."""

    def __init__(self, path: Path, what: str) -> None:
        """Name the run's directory and what is wrong with it."""
        super().__init__(f"The stored run {path} is damaged: {what}. Remove this directory to train the run again.")


def load_run(path: Path | str) -> Run:
    """Load one stored run from its directory.

    Raises:
        StoreError: there is no run, or it was written by a newer version.
        DamagedRunError: its manifest is missing or changed.
    """
    path = Path(path)
    try:
        text = (path / MANIFEST).read_bytes()
        manifest = json.loads(text)
        schema = manifest["schema"]
    except FileNotFoundError as error:
        if (path / DONE).exists():
            raise DamagedRunError(path, f"{MANIFEST} is missing") from error
        raise StoreError(f"There is no stored run in {path}.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedRunError(path, f"{MANIFEST} cannot be read ({error})") from error
    if schema != SCHEMA_VERSION:
        raise StoreError(
            f"The run {path} has schema {schema}, this version reads {SCHEMA_VERSION}; use its own version."
        )
    done = path / DONE
    if done.exists() and done.read_bytes() != hashlib.sha256(text).hexdigest().encode():
        raise DamagedRunError(path, f"{MANIFEST} does not match the checksum in {DONE}")
    missing = {"run_id", "config", "columns", "summary", "provenance", "files"} - set(manifest)
    if missing:
        raise DamagedRunError(path, f"{MANIFEST} lacks {', '.join(sorted(missing))}")
    return Run(path, manifest, done.exists())


def load_sweep(root: Path | str) -> "pd.DataFrame":
    """The complete runs of a results folder as one tidy table: a row for each run, with its ``Run`` in ``run``.

    Columns are the run's ``columns`` (h, alpha, sqrt_h_alpha, seed, …) and its ``summary`` (outcome, t_stop, …).

    Raises:
        StoreError: no complete run in the folder, or a damaged one.
    """
    import pandas as pd  # half a second to import: only for tables

    runs = [load_run(done.parent) for done in sorted(Path(root).glob(f"runs/*/{DONE}"))]
    if not runs:
        raise StoreError(f"There is no complete run in {root}.")
    rows = [{"run_id": run.run_id, **run.columns, **run.summary, "run": run} for run in runs]
    return pd.DataFrame(rows).sort_values(["h", "sqrt_h_alpha", "seed"], ignore_index=True)
