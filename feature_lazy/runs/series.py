"""Arrays over time: appended to a file as observations come, and a file of safetensors when the run is complete.

While a run is trained ``weights.part`` holds the arrays of its observations one behind the other, and nothing else. A
checkpoint marks how far it reached: what comes after is dropped when the run goes on. At the end a header is put before
the same bytes, in ``weights.safetensors``, where the tensor ``3/W0`` is the array ``W0`` of the observation number 3.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feature_lazy.core.files import appending, open_regular, remove, stored, write_atomically

WEIGHTS, SERIES = "weights", "series"
"""Files of arrays over time: weights, which ``observe.weights`` asks for, and what observables record."""
KINDS = (WEIGHTS, SERIES)
BLOCK = 2**20


def stored_name(kind: str) -> str:
    """The file of a complete run."""
    return f"{kind}.safetensors"


def part_name(kind: str) -> str:
    """The file of a run that is trained."""
    return f"{kind}.part"


@dataclass(frozen=True)
class Reach:
    """How far the arrays of a run reached at some moment.

    Attributes:
        entries: of each array in the file, in order: name, type as safetensors calls it, and shape.
        size: bytes.
        sha256: checksum of these bytes.
    """

    entries: list[list[Any]]
    size: int
    sha256: str


class Series:
    """Arrays over time of one run, on disk; in memory is only what they are called."""

    def __init__(self, path: Path) -> None:
        """Name the file, ``root/runs/ID/NAME``, which is there with the first array."""
        self.path, self.root = path, path.parents[2]
        self.entries: list[list[Any]] = []
        self._sums = [(0, 0, 0, hashlib.sha256())]
        """After each observation: the observations until then, arrays, bytes and their checksum."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self._sums[-1][2]

    def append(self, number: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Add the arrays of an observation; what the file has beyond the ones before is dropped.

        Raises:
            OSError: it cannot be written.
        """
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        data = b"".join(array.tobytes() for array in whole.values())
        with appending(self.path, below=self.root) as file:
            file.truncate(self.size)
            file.write(data)
        self.entries += [[f"{number}/{name}", _type(array), list(array.shape)] for name, array in whole.items()]
        digest = self._sums[-1][3].copy()
        digest.update(data)
        self._sums.append((number + 1, len(self.entries), self.size + len(data), digest))

    def back_to(self, rows: int) -> None:
        """Forget what belongs to observations after the first ``rows``."""
        while self._sums[-1][0] > rows:
            self._sums.pop()
        del self.entries[self._sums[-1][1] :]

    def reach(self) -> Reach:
        """How far it reaches now."""
        return Reach(list(self.entries), self.size, self._sums[-1][3].hexdigest())

    def settle(self) -> None:
        """Drop from the file what comes after, and make it last; without arrays there is no file.

        Raises:
            OSError: it cannot be written, or is shorter than what was appended.
        """
        if not self.size:
            remove(self.path, below=self.root)
            return
        with appending(self.path, below=self.root) as file:
            if file.seek(0, os.SEEK_END) < self.size:
                raise OSError(5, "it has lost what was appended", str(self.path))
            file.truncate(self.size)
            os.fsync(file.fileno())

    def finish(self, path: Path) -> str:
        """Write all arrays as safetensors; the checksum of the file. The one that grew stays.

        Raises:
            OSError: it cannot be written, or what was appended has changed since.
        """
        whole, body = hashlib.sha256(), hashlib.sha256()

        def content() -> Iterator[bytes]:
            header = self._header()
            whole.update(header)
            yield header
            for block in _blocks(self.path, self.size):
                whole.update(block)
                body.update(block)
                yield block
            if body.digest() != self._sums[-1][3].digest():
                raise OSError(5, "what was appended has changed since", str(self.path))

        write_atomically(path, content(), below=self.root)
        return whole.hexdigest()

    def _header(self) -> bytes:
        """What a file of safetensors begins with: the length of a JSON object, and the object."""
        places, begin = {}, 0
        for name, kind, shape in self.entries:
            end = begin + _bits(kind) // 8 * int(np.prod(shape, dtype=np.int64))
            places[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
            begin = end
        text = json.dumps(places).encode()
        text += b" " * (-len(text) % 8)  # so that the arrays are aligned
        return len(text).to_bytes(8, "little") + text

    @staticmethod
    def up_to(path: Path, reach: Reach) -> "Series | None":
        """What a file held at some moment, None if it does not hold that any more.

        Raises:
            OSError: it cannot be read now.
        """
        found, digest = Series(path), hashlib.sha256()
        try:
            with stored(path):
                for block in _blocks(path, reach.size) if reach.size else ():
                    digest.update(block)
            rows = max((int(name.partition("/")[0]) + 1 for name, _, _ in reach.entries), default=0)
        except (FileNotFoundError, ValueError, TypeError):
            return None
        found.entries = [list(entry) for entry in reach.entries]
        found._sums.append((rows, len(found.entries), reach.size, digest))
        return found if digest.hexdigest() == reach.sha256 else None


def _type(array: np.ndarray) -> str:
    """As safetensors calls it: F64, F32, I64, BOOL."""
    letter = {"f": "F", "i": "I", "u": "U"}.get(array.dtype.kind)
    return f"{letter}{8 * array.dtype.itemsize}" if letter else "BOOL"


def _bits(kind: str) -> int:
    return 8 if kind == "BOOL" else int(kind[1:])


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    """The first bytes of a file, in blocks; fewer if it has fewer."""
    with open_regular(path) as (file, _):
        while size and (block := file.read(min(BLOCK, size))):
            size -= len(block)
            yield block
