"""Files that are there in full or not at all, whatever kills the process that writes them."""

import os
import uuid
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, sync it, then rename it; the folder is made if it is missing.

    A kill leaves at most a temporary file, ``.<name>.<random>``; see ``remove_temporaries``. What had the name before
    stays until the new content is safe.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove_temporaries(folder: Path, names: str) -> None:
    """Remove what killed writers left of files whose names match a pattern, such as ``*.safetensors``.

    A writer that still lives loses its temporary file too, and its ``write_atomically`` fails with FileNotFoundError.
    """
    for temporary in folder.glob(f".{names}.{'[0-9a-f]' * 32}"):
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last. Not every system can; there the file is whole all the same, under its old or new name."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
