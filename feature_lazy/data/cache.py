"""Files of the public sets on this machine: where they lie, whether they are whole, and how they get there.

A file is used only after its checksum has been compared, and the bytes that were compared are those that are used.
What is not right is moved aside, so that no later run meets it and a person can look at it.
"""

import hashlib
import logging
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from feature_lazy.core.errors import DataError
from feature_lazy.core.files import move_aside
from feature_lazy.data.registry import FILES, Mirror, RemoteFile

ENVIRONMENT = "FEATURE_LAZY_DATA"
"""Environment variable that names the cache folder."""
TIMEOUT = 30.0
"""Seconds without an answer after which the next mirror is tried."""


class ProgressBar(Protocol):
    """What a download is told to: the interface that pooch asks for."""

    total: int

    def update(self, n: int) -> object:
        """So many more bytes have arrived."""
        ...

    def reset(self) -> object:
        """The download is over."""
        ...

    def close(self) -> object:
        """No more will be told."""
        ...


@dataclass(frozen=True)
class CachedFile:
    """One file of a set, here or not.

    Attributes:
        dataset: name of the set, as a user writes it.
        path: where the file belongs.
        file: what it must be.
        root: the folder that the user named, if any, for the advice in errors.
    """

    dataset: str
    path: Path
    file: RemoteFile
    root: str | None = None

    @property
    def command(self) -> str:
        """What fetches it."""
        return self._call("fetch")

    @property
    def here(self) -> bool:
        """Whether it is there, whole or not; a folder that cannot be looked into counts as empty."""
        with suppress(OSError):
            return self.path.exists()
        return False

    @property
    def absence(self) -> str:
        """What is said where it is missing."""
        return f"{self.dataset} needs {self.path}, which is missing. Where there is a network, run: {self.command}"

    def _call(self, action: str) -> str:
        root = f" --root {shlex.quote(self.root)}" if self.root else ""
        return f"feature-lazy data {action} {self.dataset}{root}"

    def read(self) -> bytes:
        """The file's content, after its checksum was found right.

        Raises:
            DataError: missing or unreadable; or damaged, and then moved aside.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            raise DataError(self.absence) from None
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror}).") from error
        if checksum_of(data, self.file.checksums) is None:
            aside = self._move_aside()
            raise DataError(
                f"{self.path} is damaged or another file: expected {' or '.join(self.file.checksums)}, found "
                f"sha256:{hashlib.sha256(data).hexdigest()} ({len(data)} bytes). {aside} Then run: {self.command}"
            )
        return data

    def _move_aside(self) -> str:
        """Rename the file to the first free ``name.corrupt-N``, and say so."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.corrupt-{number}")).exists():
            number += 1
        try:
            move_aside(self.path, aside)
        except OSError as error:
            return f"It could not be moved aside ({error.strerror}): remove it."
        return f"It was moved to {aside.name} beside it."

    def fetch(self, progress: ProgressBar | None = None) -> bool:
        """Bring the file here from the first mirror that has it, unless it is here and whole.

        Returns:
            Whether it was downloaded.

        Raises:
            DataError: no mirror gave the right file; the message says what each did, and how to go on by hand.
        """
        if self.path.exists():
            try:
                self.read()
            except DataError as error:
                if self.path.exists():
                    raise
                logging.getLogger(__name__).warning("%s", error)
            else:
                return False
        failures = []
        for mirror in self.file.mirrors:
            if (failure := self._download(mirror, progress)) is None:
                return True
            failures.append(f"  {mirror.url}: {failure}")
        raise DataError(
            f"{self.file.name} of {self.dataset} could not be downloaded:\n" + "\n".join(failures) + "\n"
            f"Download it by hand, on any machine, put it at {self.path} and run: {self._call('verify')}"
        )

    def _download(self, mirror: Mirror, progress: ProgressBar | None) -> str | None:
        """Try one mirror; why it failed, or None.

        Raises:
            DataError: a folder that cannot be written.
        """
        import pooch
        from requests.exceptions import RequestException

        pooch.get_logger().setLevel(logging.WARNING)
        # 64 KiB at a time; pooch's own 1 KiB costs more than the line it comes over.
        options: dict[str, Any] = {"progressbar": progress or False, "chunk_size": 2**16, "timeout": TIMEOUT}
        get: Any = pooch.HTTPDownloader(**options)
        try:
            pooch.retrieve(mirror.url, mirror.checksum, fname=self.path.name, path=self.path.parent, downloader=get)
        except ValueError as error:
            return str(error).partition(" Deleted download")[0]
        except (RequestException, EOFError) as error:
            return _short(error)
        except OSError as error:
            raise DataError(f"{self.path.parent} cannot be written ({error.strerror or error}).") from error
        return None


def _short(error: Exception) -> str:
    """The innermost reason of a failed request, in one line."""
    reason: BaseException = error
    while (inner := getattr(reason, "reason", None) or (reason.args[0] if reason.args else None)) and isinstance(
        inner, BaseException
    ):
        reason = inner
    return " ".join(str(reason).split())[:200] or type(error).__name__


def checksum_of(data: bytes, known: tuple[str, ...]) -> str | None:
    """The first of the known checksums, ``algorithm:hexadecimal``, that the data have; None if none."""
    for checksum in known:
        algorithm, _, expected = checksum.partition(":")
        if hashlib.new(algorithm, data, usedforsecurity=False).hexdigest() == expected:
            return checksum
    return None


def data_root(given: str | None = None) -> Path:
    """The cache folder: the given one, else ``$FEATURE_LAZY_DATA``, else the user's cache folder of this system."""
    if named := given or os.environ.get(ENVIRONMENT):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("feature_lazy"))


def cached_files(dataset: str, folder: str, root: str | None = None) -> list[CachedFile]:
    """The files of a set, here or not.

    Args:
        dataset: the set, as a user writes it.
        folder: key of ``FILES``, and folder below the root.
        root: see ``data_root``.
    """
    home = data_root(root) / folder
    return [CachedFile(dataset, home / file.name, file, root) for file in FILES[folder]]
