"""Several cells in one job."""

from tests.processes import science
from tests.slurm.cluster import call, wait_until
from tests.slurm.sweeps import CPU, JOB, THEIRS, finished, job_of, states, submissions, their_folder

GRID = ("alpha.value=1,2,5", "seed=ensemble", "seed.members=2")


def test_cells_of_a_pack_train_side_by_side_as_they_would_alone(tmp_path, train_py):
    folder, here = tmp_path / "results", tmp_path / "here"
    pack = ("hydra.launcher.pack=4", "hydra.launcher.side_by_side=2", "hydra.launcher.cpus_per_task=2")
    done = train_py(folder, "-m", *CPU, *pack, *JOB, *GRID)
    assert done.returncode == 0, done.stdout + done.stderr
    # Two ensembles of two fill a job of four.
    assert sorted(map(len, submissions(folder)[0]["jobs"].values())) == [2, 4]
    assert train_py(here, "-m", *JOB, *GRID).returncode == 0
    assert {k: v[:2] for k, v in science(here).items()} == {k: v[:2] for k, v in science(folder).items()}


def test_failures_in_a_pack_take_no_other_cell_with_them(tmp_path, train_py, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    folder = tmp_path / "results"
    run = (*THEIRS, "dynamics.stepper=article", "dynamics.eps_gradient=1e-2")
    done = train_py(folder, "-m", *CPU, "hydra.launcher.pack=10", *run, "alpha.value=4,5,6,9,10")
    assert done.returncode != 0
    assert len(finished(folder)) == 3
    assert list(states(folder).values()) == ["FAILED"]
    reasons = sorted(path.read_text().splitlines()[0] for path in folder.glob("runs/*/error.txt"))
    assert reasons[0].endswith("seven is not a pattern.")
    assert "died of SIGKILL" in reasons[1]
    log = next((folder / "slurm").glob("*/*.err")).read_text()
    assert "2 of 5 failed" in log
    assert all(reason.partition(": ")[2] in log for reason in reasons[:1])
    assert reasons[1] in log


def test_pack_that_is_signalled_goes_on(tmp_path, train_py, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    monkeypatch.setenv("PASS_SECONDS", "0.02")
    folder, here = tmp_path / "results", tmp_path / "here"
    run = (*THEIRS, "dynamics.stepper=article", "dynamics.eps_gradient=1e-2", "checkpoint_every=1", "alpha.value=2,3")
    pack = ("hydra.launcher.pack=2", "hydra.launcher.side_by_side=2", "hydra.launcher.wait=false")
    assert train_py(folder, "-m", *CPU, *pack, *run).returncode == 0
    wait_until(lambda: len(list(folder.glob("runs/*/checkpoint-*"))) >= 2, 60, "both runs keep a state")
    call("scancel", "--signal=USR2", job_of(folder))
    wait_until(lambda: len(finished(folder)) == 2, 120, "both are done")
    monkeypatch.setenv("PASS_SECONDS", "0")
    assert train_py(here, "-m", *run).returncode == 0
    assert science(here) == science(folder)
    assert len(submissions(folder)) == 1
