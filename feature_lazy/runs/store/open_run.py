"""A run while this process trains it: its observations, checkpoints and end, as they go to disk."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import remove, remove_temporaries, write_atomically
from feature_lazy.core.fingerprints import Fingerprint
from feature_lazy.runs.history import History, Row, append, settle
from feature_lazy.runs.reading import DONE, ERROR, HISTORY, MANIFEST, OUTPUTS, SCHEMA_VERSION, checksum
from feature_lazy.runs.series import KINDS, stored_name
from feature_lazy.runs.store import checkpoint
from feature_lazy.runs.store.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator


NO_ARRAYS: Mapping[str, np.ndarray] = MappingProxyType({})
WRITTEN = (MANIFEST, HISTORY, OUTPUTS, *map(stored_name, KINDS), DONE, ERROR, "checkpoint-*")
"""What only the owner of a run writes: half-written ones are of an owner that was killed."""


@dataclass(frozen=True)
class Together:
    """Members that are trained together, by run id and in order: all, and those that still train."""

    members: Sequence[str]
    alive: Sequence[str]


class Shadow:
    """A member that is trained along and not stored: it is done, and was part of a batch that goes on as it was.

    Attributes:
        path: directory of its run, ``root/runs/ID``.
        root: the results folder.
        history: its observations so far.
        inputs: fingerprints of what a process that goes on makes anew, by name.
    """

    def __init__(self, path: Path) -> None:
        """Take a run's directory."""
        self.path, self.root, self.history = path, path.parents[1], History()
        self.inputs: Mapping[str, Fingerprint] = {}

    def observe(self, row: Row, arrays: Mapping[str, np.ndarray] = NO_ARRAYS) -> None:
        """Add an observation, with its arrays by name."""
        self.history.add(row)

    def _stored_inputs(self) -> dict[str, str]:
        return {name: str(one) for name, one in self.inputs.items()}

    def checkpoint(self, stamp: str, batch: Together, arrays: Mapping[str, np.ndarray]) -> Path:
        """Keep a state, beside those that are there; the file.

        Args:
            stamp: tells the moment from every other; the same for all members of the batch.
            batch: who was trained together.
            arrays: what ``State`` holds of this member.

        Raises:
            StoreError: it cannot be written.
        """
        moment = checkpoint.BatchMoment(
            stamp, tuple(batch.members), tuple(batch.alive), self.history.mark(), self._stored_inputs()
        )
        with writing(self.path):
            return checkpoint.write(self.path, moment, arrays)


class OpenRun(Shadow):
    """One run that this process holds. Every write makes sure first that it still does."""

    def __init__(self, path: Path, lease: Lease) -> None:
        """Open a run's directory, which the lease holds."""
        super().__init__(path)
        self.lease = lease
        self.description: dict[str, Any] = {}

    def begin(self, description: Mapping[str, Any], history: History) -> None:
        """Say what is trained, and go on behind some observations: what the file has beyond them is dropped.

        Args:
            description: ``config``, ``columns``, ``provenance`` and whatever else the manifest holds.
            history: observations up to the state that is gone on from.

        Raises:
            StoreError: it cannot be written.
        """
        self.description, self.history = dict(description), history
        with self._writing():
            for name in WRITTEN:
                remove_temporaries(self.path, name, below=self.root)
            self._write_manifest({}, {}, sync=False)
            remove(self.path / ERROR, below=self.root)
            # Anew and not continued: what lies there may be a link, or have a second name in somebody's backup.
            write_atomically(self.path / HISTORY, bytes(history.data), below=self.root)
            history.keep_arrays(self.path)

    def observe(self, row: Row, arrays: Mapping[str, np.ndarray] = NO_ARRAYS) -> None:
        """Add an observation, to the files too.

        Raises:
            StoreError: it cannot be written.
        """
        with self._writing():
            self.history.add_arrays(arrays)
            append(self.path / HISTORY, self.history.add(row), below=self.root)

    def checkpoint(self, stamp: str, batch: Together, arrays: Mapping[str, np.ndarray]) -> Path:
        """See ``Shadow.checkpoint``.

        Raises:
            StoreError: it cannot be written.
        """
        with self._writing():
            settle(self.path / HISTORY, self.history.data, below=self.root)
            self.history.settle_arrays()
            return super().checkpoint(stamp, batch, arrays)

    def pause(self, summary: Mapping[str, Any], provenance: Mapping[str, Any]) -> None:
        """Stop for now: the checkpoint is written, and the summary says why.

        Raises:
            StoreError: it cannot be written.
        """
        self.description["provenance"] = dict(provenance)
        with self._writing():
            self._write_manifest(summary, {}, sync=True)

    def finish(
        self, summary: Mapping[str, Any], outputs: Mapping[str, np.ndarray], provenance: Mapping[str, Any]
    ) -> None:
        """Complete the run, ``done`` last.

        Raises:
            StoreError: it cannot be written.
        """
        self.description["provenance"] = dict(provenance)
        contents = {
            HISTORY: bytes(self.history.data),
            OUTPUTS: save({name: np.ascontiguousarray(array) for name, array in outputs.items()}),
        }
        files = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        with self._writing():
            for name, data in contents.items():
                write_atomically(self.path / name, data, below=self.root)
            for kind, series in self.history.arrays.items():
                if series.entries:
                    files[stored_name(kind)] = series.finish(self.path / stored_name(kind))
            text = self._write_manifest(summary, files, sync=True)
            write_atomically(self.path / DONE, hashlib.sha256(text).hexdigest().encode(), below=self.root)
            for series in self.history.arrays.values():
                remove(series.path, below=self.root)
        self.lease.release(done=True)

    @contextmanager
    def _writing(self) -> "Iterator[None]":
        with writing(self.path):
            self.lease.check()
            try:
                yield
            except (OSError, StoreError):
                self.lease.check()  # who has taken the run over meanwhile removes what was half written
                raise

    def _write_manifest(self, summary: Mapping[str, Any], files: Mapping[str, str], *, sync: bool) -> bytes:
        head = {"schema": SCHEMA_VERSION, "run_id": self.path.name, "inputs": self._stored_inputs()}
        manifest = _finite({**head, **self.description, "summary": dict(summary), "files": dict(files)})
        text = json.dumps({**manifest, "sha256": checksum(manifest)}, indent=1, allow_nan=False).encode()
        write_atomically(self.path / MANIFEST, text, below=self.root, sync=sync)
        return text


@contextmanager
def writing(path: Path) -> "Iterator[None]":
    """Name the run whose files cannot be written.

    Raises:
        StoreError: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"The run {path} cannot be written ({error.strerror}); what it had before is kept, "
            "and a repeated command goes on from there."
        ) from error


def _finite(value: Any) -> Any:
    """The same plain value with null in place of infinities and NaN, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
