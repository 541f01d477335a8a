"""Files that are there in full or not at all, whatever kills the process that writes them; and careful reading.

Nobody else opens files for writing, makes folders or removes anything (a test of structure holds that). Every writer
names the folder ``below`` which it writes, and which may come from a stranger: from there to the file each folder is
opened by itself, and a link among them, or in place of the file, is refused and not followed. ``below=None`` is for a
file that a person has named: the folders on its way are theirs.
"""

import errno
import fnmatch
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LARGEST = 2**30
"""Bytes of a file that is read at once: none that this package writes, but for states of networks, is as large."""
HEAD = 2**16
"""Bytes at the beginning, or the end, of a file that may have any size."""
_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINK = "a link, which is not followed"


def write_atomically(path: Path, data: bytes | Iterable[bytes], *, below: Path | None, sync: bool = True) -> None:
    """Write a file under a temporary name beside it, sync it, then rename it; the folder is made if it is missing.

    A kill leaves at most a temporary file, ``.<name>.<random>``; see ``remove_temporaries``. What had the name before
    stays until the new content is safe; if it was a link, the link is replaced.

    Args:
        path: where.
        data: the whole content, or its parts one behind the other.
        below: the folder from which on links are refused.
        sync: whether it must outlast a crash of the machine, and not only of the process.

    Raises:
        OSError: it cannot be written, or a folder on the way is a link.
    """
    with _opened(path.parent, below, make=True) as folder, _temporary(folder, path, data, sync=sync) as temporary:
        os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        if sync:
            _sync_folder(folder)


def create_exclusively(path: Path, data: bytes, *, below: Path | None) -> bool:
    """Create a file with its content at once, or not at all; whether it is ours.

    By a link, which is atomic on network file systems too: of several processes exactly one gets the name, and nobody
    sees it half written (open(2), O_EXCL).

    Raises:
        OSError: it cannot be written, or a folder on the way is a link.
    """
    with _opened(path.parent, below, make=True) as folder, _temporary(folder, path, data, sync=False) as temporary:
        try:
            os.link(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:  # somebody has cleaned up behind us, and so has the name
            return False
        except FileExistsError:
            # A network file system may make the link and lose the answer: the file then has two names.
            return os.stat(temporary, dir_fd=folder, follow_symlinks=False).st_nlink == 2
        return True


def write_folder(path: Path, contents: Mapping[str, bytes], *, below: Path | None) -> None:
    """Write a folder of files, by name below it, all or none; one that is there already is left alone.

    Raises:
        OSError: it cannot be written, or a folder on the way is a link.
    """
    with _opened(path.parent, below, make=True) as folder:
        temporary = f".{path.name}.{uuid.uuid4().hex}"
        try:
            for name, data in contents.items():
                file = path.parent / temporary / name
                with _opened(file.parent, path.parent, make=True) as inner:
                    _write_new(inner, file.name, data, sync=False)
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # else somebody was faster, with the same
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True, dir_fd=folder)


@contextmanager
def appending(path: Path, *, below: Path | None) -> Iterator[BinaryIO]:
    """A plain file, open behind its end; made if it is missing.

    Raises:
        OSError: it cannot be written, is something else, or a folder on the way is a link.
    """
    with _opened(path.parent, below, make=True) as folder:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _PLAIN
        with os.fdopen(_open_plain(path, flags, folder), "ab") as file:
            yield file


def make_folder(path: Path, *, below: Path | None) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        OSError: it cannot be made, or one on the way is a link.
    """
    with _opened(path, below, make=True):
        return


def remove(path: Path, *, below: Path | None) -> None:
    """Remove a file, if it is there; of a link, the link.

    Raises:
        OSError: it cannot be removed, or a folder on the way is a link.
    """
    with suppress(FileNotFoundError), _opened(path.parent, below) as folder:
        os.unlink(path.name, dir_fd=folder)


def remove_folder(path: Path, *, below: Path | None) -> None:
    """Remove a folder with all that is in it; of links in it, the links.

    Raises:
        OSError: it cannot be removed, or it or a folder on the way is a link.
    """
    with _opened(path.parent, below) as folder:
        kind = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(kind):
            raise OSError(errno.ELOOP, _LINK, str(path))
        if not stat.S_ISDIR(kind):  # a pipe, say, on which opening it would wait for ever
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        shutil.rmtree(path.name, dir_fd=folder)


def remove_empty(path: Path, *, below: Path | None) -> None:
    """Remove a folder with nothing in it.

    Raises:
        OSError: there is something in it, it is none, or a folder on the way is a link.
    """
    with _opened(path.parent, below) as folder:
        os.rmdir(path.name, dir_fd=folder)


def move_aside(path: Path, other: Path) -> None:
    """Give a file that a person has named another name.

    Raises:
        OSError: it cannot be renamed.
    """
    path.rename(other)


def set_time(path: Path, *, below: Path | None) -> None:
    """Set the time of a file to now; one that is missing is made, empty.

    Raises:
        OSError: it cannot be written, is something else, or a folder on the way is a link.
    """
    with appending(path, below=below) as file:
        os.utime(file.fileno())


def probe(folder: Path, *, below: Path | None) -> float:
    """Write to a folder, which is made if it is missing; what the clock that stamps its files says, in Unix seconds.

    Raises:
        OSError: it cannot be written, or one on the way is a link.
    """
    with _opened(folder, below, make=True) as opened, _temporary(opened, folder / "probe", b"", sync=False) as path:
        return os.stat(path, dir_fd=opened).st_mtime


def refuse_links(root: Path, names: tuple[str, ...]) -> None:
    """Refuse what others write, who follow links: files and folders of a results folder.

    Raises:
        OSError: one of them is a link.
    """
    for name in names:
        if (root / name).is_symlink():
            raise OSError(errno.ELOOP, _LINK, str(root / name))


def read_regular(path: Path, *, limit: float = LARGEST) -> bytes:
    """The content of a plain file; links and pipes, which a stranger's folder may hold, are not followed.

    Raises:
        OSError: it cannot be read, is something else than a plain file, or is larger than the limit.
    """
    with open_regular(path) as (file, size):
        if size > limit:
            raise OSError(errno.EFBIG, f"it has {size} bytes, which no such file has", str(path))
        return file.read(int(min(limit, 2**62)))


def read_head(path: Path) -> bytes:
    """The first ``HEAD`` bytes of a plain file of any size; see ``read_regular``."""
    with open_regular(path) as (file, _):
        return file.read(HEAD)


def read_tail(path: Path) -> bytes:
    """The last ``HEAD`` bytes of a plain file of any size; see ``read_regular``."""
    with open_regular(path) as (file, size):
        file.seek(max(0, size - HEAD))
        return file.read(HEAD)


def exists(path: Path) -> bool:
    """Whether there is something; unlike ``Path.exists`` never False where that cannot be found out.

    Raises:
        OSError: it cannot be found out.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


class NotAFileError(ValueError):
    """Something else than a plain file is where one should be: so it will be next time, too."""


@contextmanager
def stored(path: Path) -> Iterator[None]:
    """Tell what is wrong with a file from what is wrong with reading it.

    Raises:
        FileNotFoundError: there is none.
        NotAFileError: a link, a folder, a pipe.
        OSError: it cannot be read now.
    """
    try:
        yield
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL, errno.ENXIO):
            raise NotAFileError(error.strerror) from error
        raise


def read_stored(path: Path, *, limit: float = LARGEST) -> bytes:
    """As ``read_regular``, with what is wrong with a file told from what is wrong with reading it.

    Raises:
        FileNotFoundError: there is none.
        NotAFileError: a link, a folder, a pipe.
        OSError: it cannot be read now, which says nothing of what is in it; or it is larger than the limit.
    """
    with stored(path):
        return read_regular(path, limit=limit)


def listed(folder: Path, names: str) -> list[Path]:
    """What is in a folder under names that match a pattern, in their order; nothing if there is no such folder.

    Raises:
        OSError: it cannot be found out, where ``Path.glob`` would leave out what it cannot see.
    """
    try:
        return sorted(folder / name for name in os.listdir(folder) if fnmatch.fnmatchcase(name, names))
    except (FileNotFoundError, NotADirectoryError):
        return []


def temporaries(folder: Path, names: str = "*") -> list[Path]:
    """What killed, or still living, writers have left of files whose names match a pattern.

    Raises:
        OSError: it cannot be found out.
    """
    return listed(folder, f".{names}.{'[0-9a-f]' * 32}")


def remove_temporaries(folder: Path, names: str, *, below: Path | None) -> None:
    """Remove what killed writers left of files whose names match a pattern, such as ``*.safetensors``.

    A writer that still lives loses its temporary file too, and its ``write_atomically`` fails with FileNotFoundError.
    """
    for temporary in temporaries(folder, names):
        remove(temporary, below=below)


@contextmanager
def _opened(folder: Path, below: Path | None, *, make: bool = False) -> Iterator[int]:
    """A folder as a descriptor, to which names are relative: what is renamed on its way meanwhile does not matter.

    Raises:
        OSError: it cannot be opened, or one between ``below`` and it is a link.
    """
    base = folder if below is None else below
    if make:
        base.mkdir(parents=True, exist_ok=True)
    descriptor, path = os.open(base, _FOLDER), base
    try:
        for part in folder.relative_to(base).parts:
            path /= part
            above, descriptor = descriptor, _inner(descriptor, path, make=make)
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


def _inner(folder: int, path: Path, *, make: bool) -> int:
    """The folder of a path's last name in an open folder.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    if path.name == "..":
        raise OSError(errno.EINVAL, "it leads out of its folder", str(path))
    if make:
        with suppress(FileExistsError):
            os.mkdir(path.name, dir_fd=folder)
    try:
        return os.open(path.name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        link = error.errno in (errno.ENOTDIR, errno.ELOOP) and path.is_symlink()
        raise OSError(errno.ELOOP if link else error.errno, _LINK if link else error.strerror, str(path)) from error


@contextmanager
def _temporary(folder: int, path: Path, data: bytes | Iterable[bytes], *, sync: bool) -> Iterator[str]:
    """The name of a new file in an open folder, with some content, beside where it is to be; gone at the end.

    Raises:
        OSError: it cannot be written; of the path itself, because nobody knows the temporary name.
    """
    name = f".{path.name}.{uuid.uuid4().hex}"
    try:
        _write_new(folder, name, data, sync=sync)
        yield name
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _write_new(folder: int, name: str, data: bytes | Iterable[bytes], *, sync: bool) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN, 0o666, dir_fd=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        if sync:
            os.fsync(descriptor)


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A plain file open for reading, and its size; see ``read_regular``."""
    with os.fdopen(_open_plain(path, os.O_RDONLY | _PLAIN), "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _open_plain(path: Path, flags: int, folder: int | None = None) -> int:
    """Descriptor of a plain file; its name is relative to an open folder if there is one.

    Raises:
        OSError: it cannot be opened, or is something else.
    """
    try:
        descriptor = os.open(path if folder is None else path.name, flags, 0o666, dir_fd=folder)
    except OSError as error:
        strerror = _LINK if error.errno == errno.ELOOP else error.strerror
        raise OSError(error.errno, strerror, str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return descriptor


def _sync_folder(folder: int) -> None:
    """Make a rename last. Not every system can; there the file is whole all the same, under its old or new name."""
    with suppress(OSError):
        descriptor = os.open(".", os.O_RDONLY, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
