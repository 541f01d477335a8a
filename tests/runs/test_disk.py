"""Disks that are full or read-only: what was there before is kept, and the failure is named."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from feature_lazy.core.errors import StoreError
from feature_lazy.launch.commands import main
from feature_lazy.runs.batch import build
from feature_lazy.runs.reading import load_run
from feature_lazy.runs.store import Store
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.train import run
from tests.conftest import QUICK, ROOT
from tests.processes import science
from tests.runs.conftest import ALONE, ARRAYS, DESCRIPTION, HISTORY_ROWS, RUN, save


def mounted(path, options):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    return path


@pytest.fixture
def small(tmp_path):
    """A file system of 256 KiB."""
    path = mounted(tmp_path / "small", "size=256k")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(folder, leave):
    """Leave so many bytes free, whole pages."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    (folder / "filler").write_bytes(b"x" * max(0, free - leave))


FREE = (0, 4096, 8192, 12288, 16384, 20480, 24576)
"""From nothing to enough for all but the last file."""


@pytest.mark.parametrize("leave", FREE)
def test_full_while_a_run_is_begun_observed_and_completed(small, leave):
    store = Store(small / "results")
    store.prepare()
    fill(small, leave)
    try:
        save(store)
    except StoreError as error:
        said = str(error)
        assert not store.is_done(RUN)
    else:
        said = "No space left on device: not this time"
        load_run(store.path(RUN)).verify()
    assert "No space left on device" in said
    (small / "filler").unlink()
    load_run(save(store)).verify()
    assert load_run(store.path(RUN)).history["t"].tolist() == [row["t"] for row in HISTORY_ROWS]


@pytest.mark.parametrize("leave", FREE)
def test_full_while_a_checkpoint_is_written(small, leave):
    store = Store(small / "results")
    save(store, done=False, rows=HISTORY_ROWS[:1])
    big = {**ARRAYS, "y": np.zeros(1000)}
    with store.claim([RUN]) as claims:
        one = claims.runs[RUN]
        one.begin(DESCRIPTION, store.checkpoints(RUN)[0][1])
        fill(small, leave)
        one.history.add(HISTORY_ROWS[1])
        try:
            one.checkpoint("later", ALONE, big)
            said = ""
        except StoreError as error:
            said = str(error)
    assert (not said) == (leave == FREE[-1]) or FREE[0] < leave < FREE[-1]
    assert not said or "(No space left on device); what it had before is kept" in said
    stamps = [saved.moment.stamp for saved, _ in store.checkpoints(RUN)]
    assert stamps == (["moment"] if said else ["later", "moment"])
    (small / "filler").unlink()
    load_run(save(store)).verify()


def test_full_during_training_and_continued(small, tiny, tmp_path):
    """The run fails and says why; with space again the command goes on, and the numbers are the same."""
    job = (*QUICK, "seed=ensemble", "seed.members=2", "checkpoint_every=1e-9")
    run(build(tiny(*job, f"output_dir={tmp_path / 'whole'}")))
    config = tiny(*job, f"output_dir={small / 'results'}")
    Store(small / "results").prepare()
    fill(small, 60_000)
    with pytest.raises(StoreError, match=r"cannot be (written \(|claimed: .*)No space left on device"):
        run(build(config))
    (small / "filler").unlink()
    assert not survey(small / "results").having(RunState.DONE, RunState.DAMAGED)
    run(build(config))
    assert science(small / "results") == science(tmp_path / "whole")


def test_full_while_the_failure_is_recorded(small, tiny):
    """It is in the log, if nowhere else."""
    from feature_lazy.runs.failures import record
    from feature_lazy.settings.cells import cells

    store = Store(small / "results")
    store.prepare()
    fill(small, 0)
    record(store, cells(tiny(*QUICK, f"output_dir={small / 'results'}")), "ValueError: no luck")


def test_read_only_folder(tmp_path, tiny, capsys):
    """Everything that only reads works; a run is refused in one sentence."""
    path = mounted(tmp_path / "medium", "size=4m")
    try:
        config = tiny(*QUICK, f"output_dir={path / 'results'}")
        run(build(config))
        other = tiny(*QUICK, "seed.value=1", f"output_dir={path / 'results'}")
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
        assert main(["status", str(path / "results")]) == 0
        assert main(["verify", str(path / "results")]) == 0
        assert main(["export", str(path / "results"), str(tmp_path / "runs.csv")]) == 0
        assert main(["export", str(path / "results"), str(path / "runs.csv")]) == 1
        assert "cannot be written (Read-only file system)" in capsys.readouterr().err
        with pytest.raises(StoreError, match=r"cannot be written \(Read-only file system\); choose another"):
            run(build(other))
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def test_files_are_created_with_the_users_umask(tmp_path):
    code = "import os, sys; os.umask(0o027); from tests.runs.conftest import save; "
    code += f"from feature_lazy.runs.store import Store; save(Store({str(tmp_path / 'results')!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o640"}
