"""Files and folders of a run as an artifact of W&B."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feature_lazy.settings.cells import Cell

UPLOAD = 600
"""Seconds that the artifacts of a run may take; the end of a training waits for them no longer than for the rest."""


def upload(run: Any, cell: Cell, paths: Sequence[Path], *, wait: bool) -> Exception | None:
    """Upload files and folders.

    Args:
        run: a run of W&B.
        cell: what it shows.
        paths: files, and folders with all that is in them.
        wait: until the server has them; nothing else tells whether it takes them.

    Returns:
        Why they have not arrived, None if they have.
    """
    import wandb

    try:
        artifact = wandb.Artifact(f"run-{cell.run_id}", type="run", metadata=dict(cell.columns))
        for path in paths:
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    name = file.relative_to(path.parent).as_posix()
                    # Else W&B copies all to the user's home, where space may be scarce, and leaves it there.
                    artifact.add_file(str(file), name=name, policy="immutable", skip_cache=True)
        logged = run.log_artifact(artifact)
        if wait:
            logged.wait(UPLOAD)
    except Exception as error:
        return error
    return None
