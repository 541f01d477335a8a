"""Queued jobs run what was submitted, whatever becomes of the checkout meanwhile."""

import os
import shutil
import subprocess
import sys

import pytest

from feature_lazy.runs.reading import load_run
from tests.conftest import ROOT
from tests.processes import science, train
from tests.slurm.cluster import call, wait_until
from tests.slurm.sweeps import CPU, THEIRS, configuration, finished, submissions, their_folder

RUN = (*THEIRS, "dynamics.stepper=article", "dynamics.eps_gradient=1e-2", "alpha.value=2")
HELD = ("hydra.launcher.wait=false", "+hydra.launcher.additional_parameters.hold=true")


@pytest.fixture
def checkout(tmp_path):
    """A checkout of its own, that the test may edit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("feature_lazy", "hydra_plugins", "analysis", "conf", "train.py"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_edited_configuration_source_and_branch_change_nothing_in_queued_jobs(checkout, tmp_path, monkeypatch):
    theirs = their_folder(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(theirs))
    folder = checkout / "results"  # inside the checkout, as the default is
    command = [sys.executable, "train.py", "-m", *CPU, *HELD, *RUN, f"output_dir={folder}", "threads=1"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    first = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True).stdout.strip()

    loss = checkout / "conf" / "loss" / "soft_hinge.yaml"
    loss.write_text(loss.read_text() + "\nbeta: 3.0\n")
    (theirs / "theirs.py").write_text("raise RuntimeError('edited')\n")
    for path in (checkout / "feature_lazy").rglob("*.py"):
        path.write_text("raise RuntimeError('edited')\n")
    for command in (
        ["checkout", "-qb", "other"],
        ["-c", "user.name=t", "-c", "user.email=t", "commit", "-qam", "second"],
    ):
        subprocess.run(["git", *command], cwd=checkout, check=True)

    [job] = submissions(folder)[0]["jobs"]
    call("scontrol", "release", job)
    wait_until(lambda: finished(folder) != set(), 90, "the run is done")
    [run] = [load_run(path.parent) for path in folder.glob("runs/*/done")]
    assert run.provenance["git"]["revision"] == first
    assert run.config["loss"]["beta"] == configuration().loss.beta != 3.0

    fresh = tmp_path / "fresh"
    fresh.mkdir()
    monkeypatch.syspath_prepend(str(their_folder(fresh)))
    train(configuration(*RUN, f"output_dir={fresh / 'results'}"))
    ours, reference = science(folder), science(fresh / "results")
    assert list(ours) == list(reference)
    assert all(ours[run_id][:2] == reference[run_id][:2] for run_id in ours)


def test_frozen_source_is_the_same_for_the_same_source(tmp_path):
    from feature_lazy.launch.slurm.snapshot import freeze

    first, again = freeze(tmp_path, []), freeze(tmp_path, [])
    assert first == again
    assert [path for path in (tmp_path / "sources").iterdir() if path.name.startswith(".")] == []
    done = subprocess.run(
        [sys.executable, "-c", "import feature_lazy; print(feature_lazy.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(first), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(first / "feature_lazy" / "__init__.py")
