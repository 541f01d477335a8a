"""A frozen copy of the source, from which queued jobs run: editing the checkout, or its branch, changes no job."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from feature_lazy.core.errors import StoreError
from feature_lazy.core.files import exists, read_regular, write_folder
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
    root = root.absolute()
    folder = root / FOLDER / digest.hexdigest()[:16]
    try:
        if not exists(folder):
            write_folder(folder, contents, below=root)
        if not _same(folder, contents):
            raise StoreError(f"{folder} is not the source that its name says, and jobs would run it. Remove it.")
    except OSError as error:
        raise StoreError(f"The source cannot be copied to {folder} ({error.strerror}).") from error
    return folder


def _same(folder: Path, contents: Mapping[str, bytes]) -> bool:
    """Whether a copy holds what it should, and nothing else: whoever made the results folder may have made it, too.

    Raises:
        OSError: it cannot be read.
    """
    if folder.is_symlink():
        return False
    for at, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if name != "__pycache__"]  # jobs have their own elsewhere
        linked = any((Path(at) / name).is_symlink() for name in inner)
        if linked or any((Path(at) / name).relative_to(folder).as_posix() not in contents for name in names):
            return False
    return all(exists(folder / name) and read_regular(folder / name) == data for name, data in contents.items())


def _project() -> Iterator[tuple[str, Path]]:
    """The files of this package, and of the checkout around it: name below the folder that holds them → file.

    Of a checkout what git tracks, and modules that are new; what else lies there, keys say, is nobody's to copy.
    """
    tops, tracked = ["feature_lazy", *(CHECKOUT if (HOME / "train.py").is_file() else ())], _tracked()
    for top in (HOME / name for name in tops):
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            name = path.relative_to(HOME)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
            needed = path.suffix == ".py" and top == HOME / "feature_lazy"
            known = tracked is None or needed or name.as_posix() in tracked
            if known and not hidden and path.is_file():
                yield name.as_posix(), path


def _tracked() -> set[str] | None:
    """What git tracks of a checkout; None outside of one."""
    if not (HOME / ".git").exists():
        return None
    command = ["git", "ls-files", "-z"]
    try:
        return set(subprocess.run(command, cwd=HOME, capture_output=True, check=True).stdout.decode().split("\0"))
    except (OSError, subprocess.SubprocessError):
        return None
