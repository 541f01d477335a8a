"""``python train.py`` as a user calls it: in processes of its own, with real files."""

import re
import shutil
import subprocess
import sys

import pytest

from feature_lazy.core.words import percent
from feature_lazy.runs.reading import HISTORY, load_run
from feature_lazy.runs.sweep import load_sweep
from tests.conftest import QUICK, ROOT, TINY

JOB = (*TINY, *QUICK, "observe.kernel.probe=0")
SWEEP = ("-m", *JOB, "hydra.launcher.n_jobs=2", "alpha.value=1,10", "width.h=4,8")


def stamps(folder):
    """Content and time of every file of every run."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.glob("runs/*/*")}


def shown(process):
    return process.stdout + process.stderr


@pytest.fixture(scope="module")
def sweep(train_py, tmp_path_factory):
    """A sweep over 2 α × 2 widths: its folder, and what it showed."""
    folder = tmp_path_factory.mktemp("sweep")
    process = train_py(folder, *SWEEP)
    assert process.returncode == 0, shown(process)
    return folder, shown(process)


def test_single_run(train_py, tmp_path):
    process = train_py(tmp_path, *JOB)
    assert process.returncode == 0, shown(process)
    [folder] = (tmp_path / "runs").iterdir()
    assert load_run(folder).summary["outcome"] == "converged"
    assert "√hα=10 h=8 seed=0: converged at t = " in process.stdout
    end = f", test error {percent(load_run(folder).summary['test/error'])}"
    assert re.fullmatch(rf"converged at t = \S+{re.escape(end)}", process.stdout.splitlines()[-2])
    assert process.stdout.splitlines()[-1] == f"Next: feature-lazy show {folder}"
    again = train_py(tmp_path, *JOB)
    assert again.stdout.splitlines() == [f"1 run, 1 already done in {tmp_path}", *process.stdout.splitlines()[-2:]]


def test_sweep_trains_every_combination(sweep):
    folder, output = sweep
    assert "4 runs in 4 jobs, 0 runs already done" in output
    sweep = load_sweep(folder)
    table = sweep.table
    assert table[["h", "sqrt_h_alpha"]].values.tolist() == [[4, 1], [4, 10], [8, 1], [8, 10]]
    assert set(table["outcome"]) == {"converged"}
    for run in sweep.runs:
        run.verify()


def test_repeated_sweep_trains_nothing(train_py, sweep):
    folder, _ = sweep
    before = stamps(folder)
    process = train_py(folder, *SWEEP)
    assert process.returncode == 0, shown(process)
    assert "4 runs in 4 jobs, 4 runs already done" in shown(process)
    assert stamps(folder) == before


def test_damaged_run_is_named_and_the_others_are_trained(train_py, sweep, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(sweep[0], folder)
    before = stamps(folder)
    damaged = load_sweep(folder).runs[1].path  # √hα = 10, h = 4
    (damaged / HISTORY).write_text("")
    process = train_py(folder, *SWEEP[:-2], "alpha.value=1,10,100", "width.h=4")
    assert process.returncode != 0
    assert f"The stored run {damaged} is damaged: {HISTORY} does not match its checksum." in shown(process)
    after = stamps(folder)
    assert {path: after[path] for path in before if damaged not in path.parents} == {
        path: stamp for path, stamp in before.items() if damaged not in path.parents
    }
    [new] = {path.parent for path in after} - {path.parent for path in before}
    assert load_run(new).columns["sqrt_h_alpha"] == 100
    assert "Traceback" not in shown(process)


DYING = """
import os, signal, sys
sys.path.insert(0, {root!r})
import hydra
from feature_lazy.settings.schema import register
register()

@hydra.main(version_base="1.3", config_path={conf!r}, config_name="train")
def main(cfg):
    if cfg.width.h == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    from feature_lazy.launch.train import train
    return train(cfg)

if __name__ == "__main__":
    main()
"""


def test_worker_that_dies_is_a_failed_job_and_not_the_end_of_the_sweep(tmp_path):
    """Out of memory, the kernel kills a worker; the jobs behind it are trained all the same."""
    script = tmp_path / "dying.py"
    script.write_text(DYING.format(root=str(ROOT), conf=str(ROOT / "conf")))
    arguments = ["-m", *JOB, "hydra.launcher.n_jobs=1", "width.h=5,4", f"output_dir={tmp_path}", "threads=1"]
    process = subprocess.run(
        [sys.executable, script, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert process.returncode != 0
    assert "Failed: " in shown(process)
    assert "width.h=5" in shown(process)
    assert [run.columns["h"] for run in load_sweep(tmp_path).runs] == [4]


REFUSED = {
    "dataset=imagenet": "Could not find 'dataset/imagenet'",
    "dataset.n_train=100000": "dataset.n_train=100000 and dataset.n_test=20: digits has 1740 patterns",
    "width.hh=3": "width.hh=3: there is no key 'hh' in 'width'. Did you mean h?",
}


@pytest.mark.parametrize("override", REFUSED)
def test_wrong_value_is_one_sentence_and_nothing_is_trained(train_py, tmp_path, override):
    process = train_py(tmp_path / "results", *JOB, override)
    assert process.returncode != 0
    assert REFUSED[override] in shown(process)
    assert not list(tmp_path.glob("results/runs/*"))
    assert "Traceback" not in shown(process)


@pytest.mark.parametrize("mode", [(), ("-m",)], ids=["single", "sweep"])
def test_results_below_a_file_are_refused_in_one_sentence(train_py, tmp_path, mode):
    (tmp_path / "file").write_text("")
    process = train_py(tmp_path / "file" / "results", *mode, *JOB)
    assert process.returncode != 0
    assert "cannot be written (Not a directory)" in shown(process)
    assert "Traceback" not in shown(process)


@pytest.mark.parametrize(
    ("mode", "key"), [(("-m",), "hydra.sweep.dir"), ((), "hydra.run.dir")], ids=["sweep", "single"]
)
def test_a_folder_of_hydra_that_cannot_be_made_is_one_sentence(train_py, tmp_path, mode, key):
    process = train_py(tmp_path / "results", *mode, *JOB, f"{key}={tmp_path}/{'x' * 300}")
    assert process.returncode == 1
    assert process.stderr.startswith(f"{key}=")
    assert process.stderr.endswith("x: the folder cannot be made (File name too long); name another.\n")
    assert not list(tmp_path.glob("results/runs/*"))


@pytest.mark.parametrize("none", ["activation=glob(zz*)", "width.h=range(4,4)"])
def test_a_sweep_over_nothing_is_refused(train_py, tmp_path, none):
    process = train_py(tmp_path / "results", "-m", *JOB, "seed.value=0,1", none)
    assert process.returncode == 1
    assert f"Nothing was started: {none} has no values" in shown(process)
    assert "Traceback" not in shown(process)


@pytest.mark.parametrize("values", ["alpha.value=10,-1", "alpha.value=10,nan", "width.h=4,0"])
def test_sweep_with_one_wrong_value_starts_nothing(train_py, tmp_path, values):
    process = train_py(tmp_path / "results", "-m", *JOB, values)
    assert process.returncode != 0
    assert "Nothing was started:" in shown(process)
    assert "must be" in shown(process)
    assert not list(tmp_path.glob("results/runs/*"))
    assert "Traceback" not in shown(process)
