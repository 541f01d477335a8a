"""Lines of JSON: a file for each run, for whatever reads such files."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_lazy.core.files import write_atomically
from feature_lazy.runs.history import Row, append, encode
from feature_lazy.runs.tracking.options import Tracked
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.registry import option


@option("tracking", "jsonl")
class JsonlTracking(Tracked):
    """A file of JSON lines for each run, in output_dir/tracking."""

    def maker(self, root: Path) -> "Callable[[], JsonLines]":
        return lambda: JsonLines(root / "tracking")


class JsonLines:
    """``FOLDER/ID.jsonl``: a line with the run's id and columns, one for each observation, one with the summary."""

    def __init__(self, folder: Path) -> None:
        """Choose the folder."""
        self.folder = folder

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        """See ``Tracker.start``; the file begins anew from the rows."""
        lines = [_line({"run_id": cell.run_id, **cell.columns}), *(_step(step, row) for step, row in enumerate(rows))]
        write_atomically(self._path(cell), b"".join(lines), below=self.folder.parent)

    def log(self, cell: Cell, step: int, row: Row) -> None:
        append(self._path(cell), _step(step, row), below=self.folder.parent)

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        append(self._path(cell), _line({"summary": dict(summary)}), below=self.folder.parent)

    def _path(self, cell: Cell) -> Path:
        return self.folder / f"{cell.run_id}.jsonl"


def _step(step: int, row: Row) -> bytes:
    return encode({"step": step, **row})


def _line(values: Mapping[str, Any]) -> bytes:
    """One line; as in a history null stands for NaN and infinity, which JSON does not have."""
    return json.dumps(_finite(values), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
