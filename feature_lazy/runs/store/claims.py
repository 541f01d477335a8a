"""The runs that this process trains now, with a thread that shows that it lives."""

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from feature_lazy.core.errors import StoreError
from feature_lazy.runs.store import lease as module
from feature_lazy.runs.store.lease import Lease, claim
from feature_lazy.runs.store.open_run import OpenRun
from feature_lazy.runs.store.owner import Owner


class Claims:
    """Leases on runs, kept alive while the body of a ``with`` statement runs, and given back at its end.

    Attributes:
        runs: what this process holds, by run id.
        elsewhere: what another process trains, by run id, with its owner where that is known.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Claim runs by id.

        Raises:
            StoreError: a directory that cannot be written.
        """
        ids = {folder: run_id for run_id, folder in folders.items()}
        try:
            leases, taken = claim(list(ids))
        except OSError as error:
            raise StoreError(
                f"The run {error.filename} cannot be claimed ({error.strerror}); is the results folder writable, "
                "and on a file system with hard links?"
            ) from error
        self.runs = {ids[folder]: OpenRun(folder, lease) for folder, lease in leases.items()}
        self.elsewhere: dict[str, Owner | None] = {ids[folder]: owner for folder, owner in taken.items()}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> Self:
        """Begin to show that the owner lives."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give all runs back."""
        self._ended.set()
        self._thread.join()
        for lease in self._leases():
            lease.release()

    def give_back(self, run_id: str) -> None:
        """Give a run back that turned out to be done."""
        self.runs.pop(run_id).lease.release(done=True)

    def _leases(self) -> list[Lease]:
        return [run.lease for run in list(self.runs.values())]

    def _beat(self) -> None:
        while not self._ended.wait(module.BEAT):
            for lease in self._leases():
                lease.beat()
