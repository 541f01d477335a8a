"""Files that are there in full or not at all, whatever kills the process that writes them; and careful reading."""

import errno
import os
import stat
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, sync: bool = True) -> None:
    """Write a file under a temporary name beside it, sync it, then rename it; the folder is made if it is missing.

    A kill leaves at most a temporary file, ``.<name>.<random>``; see ``remove_temporaries``. What had the name before
    stays until the new content is safe.

    Args:
        path: where.
        data: the whole content, or its parts one behind the other.
        sync: whether it must outlast a crash of the machine, and not only of the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if sync:
        _sync_folder(path.parent)


def create_exclusively(path: Path, data: bytes) -> bool:
    """Create a file with its content at once, or not at all; whether it is ours.

    By a link, which is atomic on network file systems too: of several processes exactly one gets the name, and nobody
    sees it half written (open(2), O_EXCL).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        os.link(temporary, path)
    except FileNotFoundError:  # somebody has cleaned up behind us, and so has the name
        return False
    except FileExistsError:
        # A network file system may make the link and lose the answer: the file then has two names.
        return temporary.stat().st_nlink == 2
    finally:
        temporary.unlink(missing_ok=True)
    return True


def read_regular(path: Path) -> bytes:
    """The content of a plain file; links and pipes, which a stranger's folder may hold, are not followed.

    Raises:
        OSError: it cannot be read, or is something else than a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(error.errno, "a link, which is not followed", str(path)) from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        return file.read()


def probe(folder: Path) -> float:
    """Write to a folder, which is made if it is missing; what the clock that stamps its files says, in Unix seconds.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".probe.{uuid.uuid4().hex}"
    path.touch()
    try:
        return path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


def temporaries(folder: Path, names: str = "*") -> list[Path]:
    """What killed, or still living, writers have left of files whose names match a pattern."""
    return sorted(folder.glob(f".{names}.{'[0-9a-f]' * 32}"))


def remove_temporaries(folder: Path, names: str) -> None:
    """Remove what killed writers left of files whose names match a pattern, such as ``*.safetensors``.

    A writer that still lives loses its temporary file too, and its ``write_atomically`` fails with FileNotFoundError.
    """
    for temporary in temporaries(folder, names):
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last. Not every system can; there the file is whole all the same, under its old or new name."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
