"""Bundles: a zip of plain files that says what is in it; read without being unpacked, and held against what it says."""

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import open_regular, write_atomically
from feature_lazy.core.redaction import printable
from feature_lazy.core.shapes import ANYTHING, NUMBER, TEXT, Items, Record
from feature_lazy.core.words import counted
from feature_lazy.runs.plan import RUN_ID
from feature_lazy.runs.reading import CONFIG

CONTENTS = "bundle.json"
MOST, LARGEST = 100_000, 2**31
"""Files of a bundle, and bytes of all of them."""
DAMAGE = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    zlib.error,
)
"""What reading a file that is no bundle raises."""
NAME = re.compile(r"(results/runs|sources|data)(/[\w .,+@=()~-]{1,200}){1,30}")
"""Where files of a bundle lie."""
SHAPE = Record(
    {
        "schema": NUMBER,
        "versions": Record(rest=TEXT),
        "packages": Record(rest=TEXT),
        "commands": Items(TEXT),
        "modules": Items(TEXT),
        "jobs": Items(Record({"config": CONFIG, "runs": Items(RUN_ID)})),
        "data": Items(Record({"path": TEXT, "name": TEXT, "sha256": TEXT})),
        "files": Record(rest=TEXT),
    },
    rest=ANYTHING,
)


def pack(path: Path, contents: Mapping[str, bytes], said: Mapping[str, Any]) -> None:
    """Write a bundle.

    Args:
        path: where.
        contents: files by their name in it.
        said: what it says of itself, but for the checksums.

    Raises:
        StoreError: it would be too large, or cannot be written.
    """
    if sum(map(len, contents.values())) > LARGEST or len(contents) >= MOST:
        raise StoreError(
            f"{path} would have {counted(len(contents), 'file')} and {sum(map(len, contents.values())):.3g} bytes, "
            "more than a bundle may have: choose runs by --where, or leave the data out by --data 0."
        )
    for name in contents:
        _check_name(path, name)
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())}
    text = json.dumps({"schema": 1, **said, "files": sums}, indent=1, sort_keys=True)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {CONTENTS: text.encode(), **contents}.items():
            # Of no time: equal contents are equal bundles.
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    try:
        write_atomically(path, made.getvalue(), below=None)
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}).") from error


def unpack(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What a bundle says, and its files by name; nothing is written, and nothing of it runs.

    Raises:
        StoreError: no bundle, or one with links, other names, other contents than it says, or more than it may have.
    """
    try:
        contents = _read(path)
        said = json.loads(contents.pop(CONTENTS))
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error}).") from error
    except DAMAGE as error:
        raise StoreError(f"{path} is no bundle of feature-lazy bundle, or a damaged one ({error}).") from error
    if why := SHAPE.misfit(said):
        raise StoreError(f"{path} is no bundle: {CONTENTS}, {why}.")
    if said["schema"] != 1:
        raise StoreError(f"{path} has schema {said['schema']}, this version reads 1; use a newer one.")
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    if wrong := sorted(name for name in {*sums, *said["files"]} if sums.get(name) != said["files"].get(name)):
        raise StoreError(f"{path} is damaged: {printable(wrong[0])} is not what {CONTENTS} says.")
    for name in (one["name"] for one in said["data"]):
        if name and not any(file == name or file.startswith(f"{name}/") for file in contents):
            raise StoreError(f"{path}: the data {printable(name)} are not in it.")
    return said, contents


def _read(path: Path) -> dict[str, bytes]:
    """All files by name.

    Raises:
        StoreError: see ``unpack``.
    """
    contents = {}
    with open_regular(path) as (file, _), zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) > MOST or sum(entry.file_size for entry in entries) > LARGEST:
            raise StoreError(f"{path} holds more than a bundle may: {MOST:,} files, {LARGEST:,} bytes.")
        for entry in entries:
            _check_entry(path, entry)
            if entry.filename in contents:
                raise StoreError(f"{path}: two files are called {printable(entry.filename)}.")
            contents[entry.filename] = archive.read(entry)
    return contents


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse what is no plain file below the bundle.

    Raises:
        StoreError: a link, a folder, a device, an encrypted file, or a name that leads elsewhere.
    """
    mode = entry.external_attr >> 16
    if (mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode)) or entry.is_dir() or entry.flag_bits & 1:
        raise StoreError(f"{path}: {printable(entry.filename)} is no plain file, and a bundle has no others.")
    if entry.filename != CONTENTS:
        _check_name(path, entry.filename)


def _check_name(path: Path, name: str) -> None:
    parts = name.split("/")
    if not NAME.fullmatch(name) or any(part in (".", "..") or part != part.strip() for part in parts):
        raise StoreError(f"{path}: {printable(name)} is no name of a file of a bundle.")
