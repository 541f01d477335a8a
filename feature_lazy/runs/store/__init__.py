"""Stored runs: one directory for each cell, found by its run id; atomic files, no pickle, ``done`` last.

A run's directory holds ``manifest.json`` (configuration, columns, summary, provenance, checksums), ``history.jsonl``
(one line for each observation), ``outputs.safetensors`` (F and f₀), ``weights.safetensors`` and ``series.safetensors``
(arrays over time) where they were asked for, and ``done``, whose content is the checksum of the manifest. While it is
trained there are ``owner-N.json``, ``checkpoint-N-HASH.safetensors`` and the arrays so far, ``*.part``; after a failure
``error.txt``.
"""

import errno
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import probe, refuse_links, remove
from feature_lazy.runs.history import History
from feature_lazy.runs.reading import HISTORY, DamagedRunError, Run, is_done, load_run, reading
from feature_lazy.runs.series import part_name
from feature_lazy.runs.store import checkpoint
from feature_lazy.runs.store.checkpoint import Checkpoint
from feature_lazy.runs.store.claims import Claims
from feature_lazy.runs.store.open_run import OpenRun, Shadow, Together, writing

__all__ = ["Checkpoint", "Claims", "OpenRun", "Shadow", "Store", "Together"]


LINKLESS = ("runs", "plans", "slurm", "sources", "wandb", "tensorboard", "tracking", "train.log", "multirun.yaml")
"""What a results folder must not have as links, which a stranger may have made: other programs, too, write there."""


def refuse_linked(root: Path) -> None:
    """Refuse a results folder with links where this program writes or removes.

    Raises:
        StoreError: one is a link, or that cannot be found out; the results folder itself may be.
    """
    try:
        refuse_links(root, LINKLESS)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise StoreError(f"{error.filename} cannot be read now ({error.strerror}).") from error
        raise StoreError(
            f"{error.filename} is {error.strerror}: nothing is written or removed through it. To keep results "
            "elsewhere, let the whole results folder be the link."
        ) from error


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
            StoreError: it cannot be written, or has links where it must not.
        """
        refuse_linked(self.root)
        try:
            probe(self.root / "runs", below=self.root)
        except OSError as error:
            raise StoreError(
                f"The results folder {self.root} cannot be written ({error.strerror}); choose another: output_dir=DIR."
            ) from error

    def is_done(self, run_id: str) -> bool:
        """See ``reading.is_done``.

        Raises:
            UnreadableRunError: that cannot be found out now.
        """
        return is_done(self.path(run_id))

    def load(self, run_id: str) -> Run:
        """Read a run's manifest and check it.

        Raises:
            StoreError: no such run, or a damaged one.
        """
        return load_run(self.path(run_id))

    def claim(self, run_ids: Iterable[str]) -> Claims:
        """Take runs to train them; see ``Claims``.

        Raises:
            StoreError: a directory that cannot be written.
        """
        return Claims({run_id: self.path(run_id) for run_id in run_ids})

    def checkpoints(self, run_id: str) -> list[tuple[Checkpoint, History]]:
        """The states that a run can go on from, the newest first, each with the observations before it.

        Raises:
            DamagedRunError: there are checkpoints, and not one of them is whole.
            UnreadableRunError: one cannot be read now.
        """
        folder, done = self.path(run_id), self.is_done(run_id)
        with reading(folder, "checkpoint"):
            files, found = checkpoint.paths(folder), []
        whole = []
        for path in files:
            with reading(folder, path.name):
                saved = checkpoint.read(path)
            if saved is None:
                continue
            whole.append(saved)
            # A complete run is only trained along, and adds no arrays.
            mark = replace(saved.moment.history, arrays={}) if done else saved.moment.history
            with reading(folder, HISTORY):
                history = History.up_to(folder / HISTORY, mark)
            if history is not None:
                found.append((saved, history))
        if files and not found:
            names = ", ".join(path.name for path in files)
            if not whole:
                raise DamagedRunError(folder, f"none of its checkpoints ({names}) is whole")
            least = whole[-1].moment.history
            with reading(folder, HISTORY):
                cut = History.up_to(folder / HISTORY, replace(least, arrays={})) is None
            if not cut:
                parts = " and ".join(part_name(kind) for kind in least.arrays)
                raise DamagedRunError(
                    folder, f"{parts} cut or changed since its checkpoints ({names}) were written; bring the files back"
                )
            raise DamagedRunError(
                folder,
                f"{HISTORY} is shorter than when its checkpoints ({names}) were written, or another: it must begin "
                f"with {least.rows} observations, {least.size} bytes",
            )
        return found

    def drop_checkpoints(self, run_id: str, keep: Sequence[Path] = ()) -> None:
        """Remove the states of a run that nothing goes on from any more.

        Raises:
            StoreError: one cannot be removed.
        """
        with writing(self.path(run_id)):
            for path in checkpoint.paths(self.path(run_id)):
                if path not in keep:
                    remove(path, below=self.root)
