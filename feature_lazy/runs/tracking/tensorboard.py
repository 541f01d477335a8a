"""TensorBoard: a folder of event files for each run. Its axis is the number of the observation; t is a scalar too."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from feature_lazy.core.files import listed, make_folder, remove
from feature_lazy.runs.history import Row
from feature_lazy.runs.tracking.options import Tracked
from feature_lazy.settings.cells import Cell
from feature_lazy.settings.registry import option


@option("tracking", "tensorboard")
class TensorboardTracking(Tracked):
    """TensorBoard's event files, in output_dir/tensorboard (pip install tensorboard)."""

    def maker(self, root: Path) -> "Callable[[], TensorBoard]":
        return lambda: TensorBoard(root / "tensorboard")


class TensorBoard:
    """``FOLDER/ID/events.out.tfevents.…``; of a run that goes on the file is written anew."""

    def __init__(self, folder: Path) -> None:
        """Choose the folder.

        Raises:
            ImportError: TensorBoard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("install it with: pip install tensorboard") from error
        self.folder, self.writer = folder, SummaryWriter
        self.open: dict[str, SummaryWriter] = {}

    def start(self, cell: Cell, rows: Sequence[Row]) -> None:
        folder = self.folder / cell.run_id
        make_folder(folder, below=self.folder.parent)
        for path in listed(folder, "events.out.tfevents.*"):
            remove(path, below=self.folder.parent)
        writer = self.open[cell.run_id] = self.writer(str(folder))
        writer.add_text("run", f"{cell.label}\n\n{json.dumps(cell.columns, ensure_ascii=False)}")
        for step, row in enumerate(rows):
            self.log(cell, step, row)

    def log(self, cell: Cell, step: int, row: Row) -> None:
        for name, value in row.items():
            self.open[cell.run_id].add_scalar(name, value, step)

    def finish(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """See ``Tracker.finish``; the summary is a text."""
        writer = self.open.pop(cell.run_id, None)
        if writer is not None:
            writer.add_text("summary", json.dumps(dict(summary), ensure_ascii=False))
            writer.close()
