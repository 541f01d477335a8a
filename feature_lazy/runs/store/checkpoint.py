"""Checkpoints: the state of one run at one moment, in a file that is named after its content.

``checkpoint-N-HASH.safetensors``: N counts up, HASH begins the SHA-256 of the file, so that a damaged one is found
without another file to compare with. The one before stays until the new one is read back.

Members of a batch are checkpointed at the same moment. Rounding depends on where in a batch a member stands, so a
batch that goes on as it was, bit for bit, is put together again from checkpoints of one ``moment``.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from feature_lazy.core.files import exists, read_regular, read_stored, write_atomically
from feature_lazy.core.memory import free_bytes
from feature_lazy.core.shapes import NUMBER, OBJECT, TEXT, Items, Record
from feature_lazy.runs.history import Mark

MOMENT = Record(
    {
        "stamp": TEXT,
        "batch": Items(TEXT),
        "alive": Items(TEXT),
        "history": Record({"rows": NUMBER, "size": NUMBER, "sha256": TEXT}, {"arrays": OBJECT}),
    },
    {"inputs": Record(rest=TEXT)},
)
NAME = re.compile(r"checkpoint-(\d{1,9})-([0-9a-f]{16})\.safetensors")


@dataclass(frozen=True)
class BatchMoment:
    """When and with whom a state was.

    Attributes:
        stamp: tells this moment of this batch from every other.
        batch: run ids of all members that the batch had at its start, in order.
        alive: those that were still in it, in order.
        history: how far the history of this member reached.
        inputs: fingerprints of what is made anew when the run goes on; empty in one of before there were any.
    """

    stamp: str
    batch: tuple[str, ...]
    alive: tuple[str, ...]
    history: Mark
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: the moment, and the tensors of ``dynamics.State`` for one member."""

    path: Path
    moment: BatchMoment
    arrays: Mapping[str, np.ndarray]


def write(folder: Path, moment: BatchMoment, arrays: Mapping[str, np.ndarray]) -> Path:
    """Write a checkpoint with the next number, read it back, and return its path. Older ones are left alone.

    Raises:
        OSError: it cannot be written, or what was read back differs.
    """
    # Copied in C order: safetensors takes the buffer as it lies.
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    data = save(whole, metadata={"moment": json.dumps(asdict(moment))})
    path = folder / f"checkpoint-{_number(paths(folder)[:1]) + 1}-{hashlib.sha256(data).hexdigest()[:16]}.safetensors"
    write_atomically(path, data, below=folder.parents[1])
    if read_regular(path, limit=len(data)) != data:
        raise OSError(5, "what was read back differs from what was written", str(path))
    return path


def paths(folder: Path) -> list[Path]:
    """Checkpoints of a run, the newest first.

    Raises:
        OSError: the folder cannot be read now.
    """
    names = os.listdir(folder) if exists(folder) else []
    found = [(int(match[1]), folder / name) for name in names if (match := NAME.fullmatch(name))]
    return [path for _, path in sorted(found, reverse=True)]


def _number(newest: list[Path]) -> int:
    return int(newest[0].name.split("-")[1]) if newest else 0


def read(path: Path) -> Checkpoint | None:
    """A checkpoint, None if it is damaged, or gone.

    Raises:
        OSError: it cannot be read now, or does not fit into memory.
    """
    match = NAME.fullmatch(path.name)
    try:
        data = read_stored(path, limit=free_bytes())
        if match is None or hashlib.sha256(data).hexdigest()[:16] != match[2]:
            return None
        return Checkpoint(path, _moment(_metadata(data)), load(data))
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError, SafetensorError):
        return None


def _metadata(data: bytes) -> dict[str, Any]:
    """The moment in a safetensors file, whose header is JSON behind its length.

    Raises:
        ValueError: it is none.
    """
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    moment = json.loads(header["__metadata__"]["moment"])
    if why := MOMENT.misfit(moment):
        raise ValueError(why)
    return moment


def _moment(values: dict[str, Any]) -> BatchMoment:
    batch, alive, inputs = tuple(values["batch"]), tuple(values["alive"]), dict(values.get("inputs", {}))
    return BatchMoment(values["stamp"], batch, alive, Mark.of(values["history"]), inputs)
