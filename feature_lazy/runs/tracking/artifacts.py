"""Files and folders of a run as an artifact of W&B."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from feature_lazy.settings.cells import Cell

log = logging.getLogger(__name__)
UPLOAD = 600
"""Seconds that the artifacts of a run may take; the end of a training waits for them no longer than for the rest."""


def files(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """Plain files of a run that a configuration names, by what they are called below its folder.

    A stored configuration is its author's, and what it names would be uploaded: so a name that leads out of the folder,
    or through a link, is none, and of a folder only the plain files count.

    Args:
        folder: of the run.
        names: of files and folders in it.
    """
    found: dict[str, Path] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        steps = [folder.joinpath(*parts[:count]) for count in range(len(parts) + 1)]
        if PurePosixPath(name).is_absolute() or ".." in parts or any(step.is_symlink() for step in steps):
            log.warning("%s is no name of a file below %s, and is not uploaded", name, folder)
            continue
        inner = [Path(at) / one for at, _, ones in os.walk(steps[-1], followlinks=False) for one in sorted(ones)]
        for path in inner or [steps[-1]]:
            if path.is_file() and not path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path
    return found


def upload(run: Any, cell: Cell, paths: Mapping[str, Path], *, wait: bool) -> Exception | None:
    """Upload files.

    Args:
        run: a run of W&B.
        cell: what it shows.
        paths: of ``files``.
        wait: until the server has them; nothing else tells whether it takes them.

    Returns:
        Why they have not arrived, None if they have.
    """
    import wandb

    try:
        artifact = wandb.Artifact(f"run-{cell.run_id}", type="run", metadata=dict(cell.columns))
        for name, path in paths.items():
            # Else W&B copies all to the user's home, where space may be scarce, and leaves it there.
            artifact.add_file(str(path), name=name, policy="immutable", skip_cache=True)
        logged = run.log_artifact(artifact)
        if wait:
            logged.wait(UPLOAD)
    except Exception as error:
        return error
    return None
