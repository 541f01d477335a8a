"""Sweeps that the tests submit: of tiny runs, and of runs that take as long as they are told, without work."""

import json
import shutil
from pathlib import Path

from tests.conftest import QUICK, TINY, composed
from tests.slurm.cluster import sacct_states

HERE = Path(__file__).parent
CPU = ("hydra/launcher=slurm_cpu", "hydra.launcher.timeout_min=60", "hydra.launcher.signal_delay_s=30")
JOB = (*TINY, *QUICK[1:])
THEIRS = (
    "architecture=custom",
    "architecture.target=theirs.Slow",
    "architecture.kwargs={width: ${width.h}}",
    "dataset=custom",
    "dataset.target=theirs.patterns",
    "dataset.kwargs={alpha: ${alpha.value}}",
    *(one for one in TINY if not one.startswith("architecture")),
)
"""A network and data of a user's own, ``their_code.py``; at α = 5, 9 and 13 something goes wrong."""


def their_folder(tmp_path: Path) -> Path:
    """A folder with the user's code; put it on PYTHONPATH."""
    folder = tmp_path / "code"
    folder.mkdir()
    shutil.copy(HERE / "their_code.py", folder / "theirs.py")
    return folder


def configuration(*overrides: str):
    """What ``train.py`` makes of these overrides, without those of Hydra itself."""
    return composed(*(one for one in overrides if not one.startswith(("hydra", "-"))))


def submissions(folder: Path) -> list[dict]:
    """What was handed to SLURM, the latest last."""
    return [json.loads(path.read_text()) for path in sorted((folder / "slurm").glob("*.json"), key=lambda p: p.stem)]


def job_of(folder: Path) -> str:
    """The id of the only job of the latest submission."""
    [job] = submissions(folder)[-1]["jobs"]
    return job


def states(folder: Path) -> dict[str, str]:
    """SLURM's word for each job of a results folder; the accounting may not have heard of one yet."""
    jobs = [job for submission in submissions(folder) for job in submission["jobs"]]
    known = sacct_states({job.partition("_")[0] for job in jobs})
    return {job: known.get(job, "UNKNOWN") for job in jobs}


def finished(folder: Path) -> set[str]:
    """Ids of complete runs."""
    return {path.parent.name for path in (folder / "runs").glob("*/done")}
