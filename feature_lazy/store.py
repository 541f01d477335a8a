"""Stored runs: one directory for each cell, found by its run id; atomic files, no pickle, ``done`` last.

A run's directory holds ``manifest.json`` (configuration, columns, summary, provenance, checksums),
``history.jsonl`` (one line for each observation), ``outputs.safetensors`` (F and f₀), and ``done``, whose content
is the checksum of the manifest. A run that a budget stopped has ``checkpoint.safetensors`` and no ``done``.
"""

import hashlib
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from feature_lazy.errors import StoreError
from feature_lazy.files import write_atomically
from feature_lazy.runs import CHECKPOINT, DONE, HISTORY, MANIFEST, OUTPUTS, SCHEMA_VERSION, Run, load_run

Row = Mapping[str, float]
Arrays = Mapping[str, np.ndarray]


class Store:
    """The runs under ``root/runs``."""

    def __init__(self, root: Path | str) -> None:
        """Name the results folder; nothing is touched yet."""
        self.root = Path(root)

    def path(self, run_id: str) -> Path:
        """Directory of a run."""
        return self.root / "runs" / run_id

    def prepare(self) -> None:
        """Create the results folder and write to it.

        Raises:
            StoreError: it cannot be written.
        """
        probe = self.root / "runs" / f".writable-{uuid.uuid4().hex}"
        try:
            probe.parent.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"The results folder {self.root} cannot be written ({error.strerror}); choose another: output_dir=DIR."
            ) from error

    def is_done(self, run_id: str) -> bool:
        """Whether a run is complete. A directory without ``done`` is what an interrupted job left."""
        return (self.path(run_id) / DONE).exists()

    def load(self, run_id: str) -> Run:
        """Read a run's manifest and check it.

        Raises:
            StoreError: no such run, or a damaged one.
        """
        return load_run(self.path(run_id))

    def save(
        self, run_id: str, description: Mapping[str, Any], history: Sequence[Row], arrays: Arrays, *, done: bool = True
    ) -> None:
        """Write a run, ``done`` last.

        Args:
            run_id: its id.
            description: ``config``, ``columns``, ``summary`` and ``provenance``.
            history: observations in order of time.
            arrays: outputs; what a checkpoint needs instead, if the run is not done.
            done: whether the run is complete.

        Raises:
            StoreError: the folder cannot be written.
        """
        path, arrays_name = self.path(run_id), OUTPUTS if done else CHECKPOINT
        lines = [json.dumps({k: v if math.isfinite(v) else None for k, v in row.items()}) for row in history]
        contents = {
            HISTORY: "".join(f"{line}\n" for line in lines).encode(),
            arrays_name: save({name: np.ascontiguousarray(array) for name, array in arrays.items()}),
        }
        files = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        manifest = {"schema": SCHEMA_VERSION, "run_id": run_id, **description, "files": files}
        contents[MANIFEST] = json.dumps(_finite(manifest), indent=1, allow_nan=False).encode()
        if done:
            contents[DONE] = hashlib.sha256(contents[MANIFEST]).hexdigest().encode()
        try:
            for name, data in contents.items():
                write_atomically(path / name, data)
            if done:
                (path / CHECKPOINT).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"The run {path} cannot be written ({error.strerror}).") from error

    def load_checkpoint(self, run_id: str) -> tuple[list[dict[str, float]], dict[str, np.ndarray]] | None:
        """History and arrays of a run that a budget stopped, or None if there is nothing to continue.

        Raises:
            StoreError: a damaged checkpoint.
        """
        if not (self.path(run_id) / CHECKPOINT).exists() or not (self.path(run_id) / MANIFEST).exists():
            return None
        run = self.load(run_id)
        names = list(run.history)
        rows = [dict(zip(names, values, strict=True)) for values in zip(*run.history.values(), strict=True)]
        return rows, run.arrays(CHECKPOINT)


def _finite(value: Any) -> Any:
    """The same plain value with null in place of infinities and NaN, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
