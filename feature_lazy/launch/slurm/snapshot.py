"""A frozen copy of the source, from which queued jobs run: editing the checkout, or its branch, changes no job."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.revision import CHANGES, FROZEN, HOME, revision
from feature_lazy.settings.plugins import packages
from feature_lazy.settings.sources import source_files

FOLDER = "sources"
CHECKOUT = ("analysis", "conf", "hydra_plugins", "train.py", "slurm/env.sh")
"""What is copied beside the package, if it comes from a checkout: with it, a person can run the frozen copy."""


def freeze(root: Path, targets: Iterable[str]) -> Path:
    """Copy the source into a results folder, unless the same is there, and return where it is.

    Args:
        root: the results folder.
        targets: import paths of the user's own code. Its source is frozen too; of installed packages the version is
            noted, which the nodes must have.

    Raises:
        StoreError: the folder cannot be written.
        ConfigError: a target that is not found.
    """
    files, targets = dict(_project()), list(targets)
    for target in targets:
        files |= source_files(target)
    contents = {name: path.read_bytes() for name, path in sorted(files.items())}
    git, diff = revision()
    contents[FROZEN] = json.dumps({"git": git, "packages": packages(targets)}, indent=1, sort_keys=True).encode()
    contents |= {CHANGES: diff} if diff else {}
    digest = hashlib.sha256()
    for name, data in sorted(contents.items()):
        digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
    folder = (root / FOLDER / digest.hexdigest()[:16]).absolute()
    if not folder.is_dir():
        try:
            _write(folder, contents)
        except OSError as error:
            raise StoreError(f"The source cannot be copied to {folder} ({error.strerror}).") from error
    return folder


def _project() -> Iterator[tuple[str, Path]]:
    """The files of this package, and of the checkout around it: name below the folder that holds them → file."""
    tops = ["feature_lazy", *(CHECKOUT if (HOME / "train.py").is_file() else ())]
    for top in (HOME / name for name in tops):
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(HOME)), path


def _write(folder: Path, contents: dict[str, bytes]) -> None:
    """Write all files or none: a job must not find half of them.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        for name, data in contents.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        os.rename(temporary, folder)
    except OSError:
        if not folder.is_dir():  # else somebody was faster, with the same
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
