"""The history of a run: one line of JSON for each observation, appended as they come.

A crash may cut the file anywhere. A checkpoint knows how far the file reached when it was written, and what it held:
what comes after is dropped when the run goes on, and written again.
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from feature_lazy.core.files import appending, read_stored, read_tail
from feature_lazy.core.shapes import NOTHING, NUMBER, Record
from feature_lazy.runs.series import KINDS, SERIES, WEIGHTS, Reach, Series, part_name

Row = Mapping[str, float]
OBSERVATION = Record({"t": NUMBER}, rest=NUMBER | NOTHING)
"""A line of the file: the training time, and numbers; null is NaN or infinity."""


def encode(row: Row) -> bytes:
    """One line; JSON has no NaN and no infinity, null stands for both."""
    plain = {name: value if math.isfinite(value) else None for name, value in row.items()}
    return json.dumps(plain, allow_nan=False).encode() + b"\n"


def decode(data: bytes, *, whole: bool) -> list[dict[str, float]]:
    """Rows of a file; null becomes NaN.

    Args:
        data: its content.
        whole: whether the last line must be complete; of a run that is being trained it need not be.

    Raises:
        ValueError: a line that is no observation.
    """
    lines = data.split(b"\n")
    if lines.pop() and whole:
        raise ValueError("the last line is cut")
    rows = [json.loads(line) for line in lines]
    for number, row in enumerate(rows, start=1):
        if why := OBSERVATION.misfit(row):
            raise ValueError(f"line {number} is not an observation: {why}")
    return [{name: math.nan if value is None else float(value) for name, value in row.items()} for row in rows]


@dataclass(frozen=True)
class Mark:
    """How far a history reached at some moment.

    Attributes:
        rows: observations.
        size: bytes.
        sha256: checksum of these bytes.
        arrays: how far the arrays over time reached, by kind; a kind without any is not there.
    """

    rows: int
    size: int
    sha256: str
    arrays: Mapping[str, Reach] = field(default_factory=dict)

    @staticmethod
    def of(values: Mapping[str, Any]) -> "Mark":
        """The mark that a checkpoint has as plain values."""
        arrays = {kind: Reach(**reach) for kind, reach in values.get("arrays", {}).items()}
        return Mark(**{**values, "arrays": arrays})

    def holds(self, data: bytes) -> bool:
        """Whether a file begins with what was marked."""
        return len(data) >= self.size and hashlib.sha256(data[: self.size]).hexdigest() == self.sha256


class History:
    """Observations of one run in memory, as they are encoded on disk; their arrays are on disk alone.

    Attributes:
        rows: the observations.
        data: their lines.
        ends: where in the data each ends.
        arrays: files of arrays over time by kind, of a run that this process holds.
    """

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        """Begin with rows that are on disk already."""
        self.rows: list[Row] = []
        self.data = bytearray()
        self.ends: list[int] = []
        self.arrays: dict[str, Series] = {}
        for row in rows:
            self.add(row)

    def __len__(self) -> int:
        """Number of observations."""
        return len(self.rows)

    def add(self, row: Row) -> bytes:
        """Add an observation; the line to append to the file."""
        line = encode(row)
        self.rows.append(row)
        self.data += line
        self.ends.append(len(self.data))
        return line

    def keep_arrays(self, folder: Path) -> None:
        """Keep arrays over time in the files of a run's directory, behind those that are there at this moment.

        Raises:
            OSError: they cannot be written.
        """
        self.arrays = {kind: self.arrays.get(kind) or Series(folder / part_name(kind)) for kind in KINDS}
        self.settle_arrays()

    def settle_arrays(self) -> None:
        """Make the arrays last; see ``Series.settle``.

        Raises:
            OSError: they cannot be written.
        """
        for series in self.arrays.values():
            series.settle()

    def add_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Add arrays of the observation that comes next, by name; ``weights/…`` are the weights.

        Raises:
            OSError: they cannot be written.
        """
        weights = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{WEIGHTS}/")}
        others = {name: array for name, array in arrays.items() if not name.startswith(f"{WEIGHTS}/")}
        for kind, found in ((WEIGHTS, weights), (SERIES, others)):
            if found:
                self.arrays[kind].append(len(self), found)

    def mark(self) -> Mark:
        """How far it reaches now."""
        arrays = {kind: series.reach() for kind, series in self.arrays.items() if series.entries}
        return Mark(len(self.rows), len(self.data), hashlib.sha256(self.data).hexdigest(), arrays)

    def back_to(self, rows: int) -> None:
        """Forget the observations after the first ``rows``."""
        del self.rows[rows:], self.ends[rows:]
        del self.data[self.ends[-1] if self.ends else 0 :]
        for series in self.arrays.values():
            series.back_to(rows)

    @staticmethod
    def up_to(path: Path, mark: Mark) -> "History | None":
        """What a file held at a mark, None if it does not hold that any more.

        Raises:
            OSError: it cannot be read now.
        """
        try:
            data = read_stored(path)
            if not mark.holds(data):
                return None
            found = History(decode(data[: mark.size], whole=True))
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        for kind, reach in mark.arrays.items():
            series = Series.up_to(path.with_name(part_name(kind)), reach)
            if series is None:
                return None
            found.arrays[kind] = series
        return found


def append(path: Path, line: bytes, *, below: Path) -> None:
    """Append a line to a file below a folder; links are refused.

    Raises:
        OSError: it cannot be written.
    """
    with appending(path, below=below) as file:
        file.write(line)


def settle(path: Path, data: bytes | bytearray, *, below: Path) -> None:
    """Drop from a file what comes after its history, add what a failed write has left out, and make it last.

    Links below the folder are refused.

    Raises:
        OSError: it cannot be written.
    """
    with appending(path, below=below) as file:
        size = file.tell()
        file.truncate(min(size, len(data)))
        file.write(data[size:])
        file.flush()
        os.fsync(file.fileno())


def last_row(path: Path) -> dict[str, float]:
    """The last whole observation in a file, empty if there is none: of a run that is being trained, too."""
    try:
        lines = read_tail(path).split(b"\n")[:-1]
        return decode(lines[-1] + b"\n", whole=True)[0] if lines else {}
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
