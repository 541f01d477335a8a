"""Who trains a run: a lock that works on network file systems, survives a crashed owner, and trusts no clock.

The owner of a run is the highest-numbered ``owner-N.json`` in its directory. To take a run over is to create the next
number, by a link, which is atomic everywhere: of several processes exactly one succeeds, and an owner that was taken
for dead finds a higher number before it writes. Numbers only grow while a run is unfinished.

The owner touches its file every ``BEAT`` seconds. Another process takes it for dead if it is a process of the same
machine that is gone, an earlier start of the same SLURM job, or if its file has not been touched for ``STALE`` seconds
of the observer's own monotonic clock. So a clock that is wrong or jumps takes no run from anybody.
"""

import json
import os
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import (
    NotAFileError,
    create_exclusively,
    listed,
    read_stored,
    remove,
    temporaries,
    write_atomically,
)
from feature_lazy.core.shapes import ANYTHING, FLAG, TEXT, WHOLE, Record
from feature_lazy.runs.store.owner import Owner, this_process

BEAT = 15.0
"""Seconds between two signs of life."""
STALE = 90.0
"""Seconds without one after which an owner that cannot be asked is taken for dead: six beats."""
OWNED = Record(
    {"host": TEXT, "pid": WHOLE, "birth": WHOLE, "machine": TEXT},
    {"job": TEXT, "restart": WHOLE, "released": FLAG},
    rest=ANYTHING,
)
"""What an owner's file holds; a later version's may hold more."""
OWNER = re.compile(r"owner-(\d{1,9})\.json")


@dataclass(frozen=True)
class Sign:
    """The last sign of life in a run's directory: two that differ were made by somebody who lives.

    Attributes:
        number: of the owner.
        owner: the process; None if its file does not say.
        stamp: when the file was touched last, in nanoseconds, and its size.
    """

    number: int
    owner: Owner | None
    stamp: tuple[int, int]

    def alive(self, now: float) -> bool:
        """Whether the owner lives: asked, where it can be; else by the age of the sign.

        An age beyond ``STALE`` on either side of now is one of a clock that was set, or of the dead.

        Args:
            now: what the clock says that stamps these files, in Unix seconds.
        """
        if self.owner is not None and (self.owner.released or self.owner.surely_dead()):
            return False
        if self.owner is not None and self.owner.surely_alive():
            return True
        return abs(now - self.stamp[0] / 1e9) < STALE


def last_sign(folder: Path) -> Sign | None:
    """The highest-numbered owner, None if the run never had one. A damaged file is an owner that cannot be asked.

    The file is opened first: network file systems show the time of the last touch only then.

    Raises:
        OSError: it cannot be read now: whether somebody lives is not known.
    """
    number = highest(folder)
    if number is None:
        return None
    path = folder / _name(number)
    try:
        try:
            owner = _parse(read_stored(path))
        except NotAFileError:
            owner = None
        status = os.lstat(path)
    except FileNotFoundError:  # given back, or taken over, just now
        return Sign(number, None, (0, 0))
    return Sign(number, owner, (status.st_mtime_ns, status.st_size))


def highest(folder: Path) -> int | None:
    """The largest number of an owner in a directory."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return None
    return max((int(match[1]) for name in names if (match := OWNER.fullmatch(name))), default=None)


def _parse(data: bytes) -> Owner | None:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if OWNED.misfit(values):
        return None
    return Owner(**{f.name: values[f.name] for f in fields(Owner) if f.name in values})


def _name(number: int) -> str:
    return f"owner-{number}.json"


class GoneError(StoreError):
    """A run's directory that was renamed or removed while the run was trained."""

    def __init__(self, folder: Path) -> None:
        """Name it."""
        super().__init__(
            f"The run {folder} is gone: it, or its results folder, was renamed or removed while it was trained. "
            "Nothing more is written here. To go on, repeat the command with the name that it has now: output_dir=DIR."
        )


class Lease:
    """The right to train a run, for as long as nobody has taken it over."""

    def __init__(self, folder: Path, number: int) -> None:
        """Take a run's directory, with the number that this process has created there."""
        self.folder, self.root, self.number = folder, folder.parents[1], number

    def beat(self) -> None:
        """Give a sign of life; a file system that is away for a moment is no reason to fail."""
        try:
            os.utime(self.folder / _name(self.number), follow_symlinks=False)
        except OSError:
            return

    def holds(self) -> bool:
        """Whether the run is still ours.

        Raises:
            OSError: it cannot be found out now.
        """
        return highest(self.folder) == self.number

    def check(self) -> None:
        """Refuse to go on if the run has been taken over.

        Raises:
            GoneError: the folder is not there any more.
            StoreError: it has: this process was stopped, or cut off from its files, for longer than ``STALE``.
            OSError: it cannot be found out now.
        """
        number = highest(self.folder)
        if number is None and not self.folder.is_dir():  # one without owners may be a run that another has finished
            raise GoneError(self.folder)
        if number != self.number:
            raise StoreError(
                f"The run {self.folder} has been taken over by another process, which took this one for dead; "
                "nothing more is written here. Was this process suspended, or its file system away?"
            )

    def release(self, *, done: bool = False) -> None:
        """Give the run back, so that the next process need not wait; a run that was taken over is left alone.

        Where that cannot be done the next process waits: that is no reason to fail.

        Args:
            done: whether the run is complete: it needs no owner any more, and no trace of one.
        """
        with suppress(OSError):
            self._release(done=done)

    def _release(self, *, done: bool) -> None:
        if not self.holds():
            return
        if done:
            for path in [*listed(self.folder, "owner-*.json"), *temporaries(self.folder, "owner-*")]:
                remove(path, below=self.root)
            return
        own = self.folder / _name(self.number)
        released = Owner(**{**asdict(this_process()), "released": True})
        try:
            write_atomically(own, json.dumps(asdict(released)).encode(), below=self.root, sync=False)
        except OSError:  # a full disk: there is room to remove
            remove(own, below=self.root)
        for path in listed(self.folder, "owner-*.json"):
            if OWNER.fullmatch(path.name) and path.name != _name(self.number):
                remove(path, below=self.root)


def try_to_claim(folder: Path, *, sign: Sign | None, dead: bool) -> Lease | None:
    """Claim a run if it never had an owner or its owner is dead; None if not, or if somebody else was first.

    Args:
        folder: the run's directory.
        sign: what ``last_sign`` gave.
        dead: whether its owner has been found dead by watching; one that surely is needs no watching.

    Raises:
        OSError: the folder cannot be written.
    """
    if sign is not None and not _gone(sign, dead):
        return None
    number = 1 if sign is None else sign.number + 1
    owner = json.dumps(asdict(this_process())).encode()
    if not create_exclusively(folder / _name(number), owner, below=folder.parents[1]):
        return None
    lease = Lease(folder, number)
    return lease if highest(folder) == number else None


def _gone(sign: Sign, seems_dead: bool) -> bool:
    """Whether an owner is dead: as it says itself, or as the machine that we share says, or else as it seems."""
    if sign.owner is not None and sign.owner.surely_alive():
        return False
    return seems_dead or (sign.owner is not None and sign.owner.surely_dead())


def claim(folders: list[Path], *, patience: float = STALE) -> tuple[dict[Path, Lease], dict[Path, Owner | None]]:
    """Claim several runs at once; those whose owner lives are left to it.

    Args:
        folders: directories of the runs.
        patience: seconds for which an owner that cannot be asked is watched before it is taken for dead.

    Returns:
        The leases, and the owners of the runs that somebody else trains.

    Raises:
        OSError: a folder cannot be written.
    """
    leases: dict[Path, Lease] = {}
    taken: dict[Path, Owner | None] = {}
    first = {folder: last_sign(folder) for folder in folders}
    watched = dict(first)
    deadline = time.monotonic() + patience
    try:
        while watched:
            dead = time.monotonic() >= deadline
            for folder, before in list(watched.items()):
                now = last_sign(folder)
                if (lease := try_to_claim(folder, sign=now, dead=dead and now == before)) is not None:
                    leases[folder] = lease
                elif now is None or (now == before and not (now.owner and now.owner.surely_alive()) and not dead):
                    continue  # watched on; without an owner: somebody is creating the first one just now
                else:
                    latest = last_sign(folder)
                    taken[folder] = latest.owner if latest else None
                del watched[folder]
            if watched:
                time.sleep(min(1.0, max(0.01, patience / 20)))
    except BaseException:
        for lease in leases.values():
            lease.release()
        raise
    return leases, taken
