"""Limits of a machine, and mistakes, as sentences: files, memory, outputs that are full, sweeps that are too large."""

import errno
import io
import subprocess
import sys

import pandas as pd
import pytest
import torch

from feature_lazy.core.errors import KernelSizeError, StoreError
from feature_lazy.core.memory import within_memory
from feature_lazy.core.tables import csv_of
from feature_lazy.launch import workers
from feature_lazy.launch.parallel import train_all
from feature_lazy.runs.job import Job
from feature_lazy.runs.store import LINKLESS, Store
from feature_lazy.runs.store.claims import _advice
from feature_lazy.settings.cells import cells
from tests.conftest import QUICK, ROOT
from tests.runs.conftest import save


def test_processes_that_cannot_be_started(tiny, monkeypatch):
    def refused(*arguments, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    config = tiny(*QUICK)
    job = Job(config, tuple(cell.run_id for cell in cells(config)))
    monkeypatch.setattr(workers.ProcessPoolExecutor, "submit", refused)
    [said] = train_all([job], 1)
    assert said.startswith("No process can be started (Too many open files): start fewer, ")
    monkeypatch.setattr(workers, "ProcessPoolExecutor", refused)
    with pytest.raises(workers.WorkersError, match="Too many open files"):
        workers.Workers(2)


@pytest.mark.parametrize("allocate", [lambda: torch.empty(10**15), lambda: bytearray(2**62)])
def test_memory_that_does_not_suffice(allocate):
    with pytest.raises(KernelSizeError, match=r"does not fit into memory .*: lower width\.h"), within_memory():
        allocate()
    with pytest.raises(RuntimeError, match="something else"), within_memory():
        raise RuntimeError("something else")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_full_output(tmp_path):
    save(Store(tmp_path))
    script = "import sys; from feature_lazy.launch.commands import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "verify", str(tmp_path)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    closed = f"{sys.executable} -c '{script}' status {tmp_path} >&-"
    done = subprocess.run(closed, cwd=ROOT, stderr=subprocess.PIPE, text=True, shell=True)
    assert (done.returncode, done.stderr) == (0, "")
    head = f"{sys.executable} -c '{script}' status --json {tmp_path} | true"
    done = subprocess.run(head, cwd=ROOT, stderr=subprocess.PIPE, text=True, shell=True)
    assert done.stderr == ""


def test_a_sweep_by_mistake_is_counted_before_anything_is_composed(train_py, tmp_path):
    """100 000 jobs would take minutes to compose, and a day to train."""
    words = ("alpha.value=range(1,1001)", "seed.value=range(0,100)")
    said = train_py(tmp_path / "results", "-m", *words)
    assert said.returncode == 1
    assert "1000 of alpha.value × 100 of seed.value are 100,000 jobs, more than 20,000" in said.stderr
    assert "hydra.sweeper.most=100000" in said.stderr
    assert not (tmp_path / "results" / "plans").exists()


def test_no_cell_of_a_csv_is_a_formula():
    cells = ["=1+1", "+a", "-2+3", "@x", "\tx", " =x", "-1.5e3", "plain", None, 3]
    table = pd.DataFrame({"=name": cells, "number": range(-5, 5)})
    lines = pd.read_csv(io.BytesIO(csv_of(table)), dtype=str)
    assert list(lines.columns) == ["'=name", "number"]
    assert lines["number"][0] == "-5"
    assert list(lines["'=name"][:7]) == ["'=1+1", "'+a", "'-2+3", "'@x", "'\tx", "' =x", "-1.5e3"]


@pytest.mark.parametrize("name", LINKLESS)
def test_links_where_other_programs_write_are_refused_before_they_begin(tmp_path, name):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="a link, which is not followed: nothing is written or removed through it"):
        Store(tmp_path / "results").prepare()
    assert not (tmp_path / "elsewhere").exists()


def test_a_training_in_a_prepared_folder_follows_no_link(train_py, tmp_path):
    """Hydra's log is opened before anything else."""
    (tmp_path / "results").mkdir()
    (tmp_path / "profile").write_text("precious")
    (tmp_path / "results" / "train.log").symlink_to(tmp_path / "profile")
    said = train_py(tmp_path / "results")
    assert said.returncode == 1
    assert "train.log is a link, which is not followed" in said.stderr
    assert (tmp_path / "profile").read_text() == "precious"


def test_a_full_disk_is_not_asked_about_hard_links(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", "/x/owner-1.json")

    monkeypatch.setattr("feature_lazy.runs.store.lease.create_exclusively", full)
    with pytest.raises(StoreError, match=r"No space left on device\. Make room") as caught:
        Store(tmp_path).claim(["a"])
    assert "hard link" not in str(caught.value)
    assert "hard links" in _advice(OSError(errno.EPERM, "Operation not permitted"))
