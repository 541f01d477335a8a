"""The runs that this process trains now, with a thread that shows that it lives."""

import errno
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
                f"The run cannot be claimed: {error.filename}: {error.strerror}.{_advice(error)}"
            ) from error
        self.runs = {ids[folder]: OpenRun(folder, lease) for folder, lease in leases.items()}
        self.elsewhere: dict[str, Owner | None] = {ids[folder]: owner for folder, owner in taken.items()}
        self._held = [run.lease for run in self.runs.values()]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> Self:
        """Begin to show that the owner lives."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See ``close``."""
        self.close()

    def close(self) -> None:
        """Give all runs back; what ends at once by a signal must have done so before."""
        self._ended.set()
        self._thread.join()
        for lease in self._leases():
            lease.release()
        self._held.clear()

    def holds(self, run_id: str) -> bool:
        """Whether this process holds a run, and nobody has taken it over; False where that cannot be found out."""
        try:
            return run_id in self.runs and self.runs[run_id].lease.holds()
        except OSError:
            return False

    def give_back(self, run_id: str) -> None:
        """Give a run back that turned out to be done."""
        lease = self.runs.pop(run_id).lease
        self._held.remove(lease)
        lease.release(done=True)

    def _leases(self) -> list[Lease]:
        return list(self._held)

    def _beat(self) -> None:
        while not self._ended.wait(module.BEAT):
            for lease in self._leases():
                lease.beat()


def _advice(error: OSError) -> str:
    """What to do about a run that cannot be claimed."""
    if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV):
        return " Owners are told apart by hard links: choose a file system that has them, output_dir=DIR."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return " Make room, or choose another folder: output_dir=DIR."
    if error.errno in (errno.EACCES, errno.EROFS):
        return " Choose a folder that can be written: output_dir=DIR."
    return " Repeat the command when it can."
