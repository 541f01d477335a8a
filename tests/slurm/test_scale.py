"""Ten thousand cells: composed, checked and submitted without a process for each."""

from tests.slurm.sweeps import CPU, JOB, submissions


def test_ten_thousand_cells(tmp_path, train_py, cli):
    folder = tmp_path / "results"
    grid = (f"alpha.value={','.join(map(str, range(1, 101)))}", f"seed.value={','.join(map(str, range(100)))}")
    held = ("hydra.launcher.wait=false", "+hydra.launcher.additional_parameters.hold=true", "hydra.launcher.pack=500")
    done = train_py(folder, "-m", *CPU, *held, *JOB, *grid)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [len(runs) for runs in submissions(folder)[0]["jobs"].values()] == [500] * 20
    again = train_py(folder, "-m", *CPU, *held, *JOB, *grid)
    assert "10000 runs in SLURM's queue already" in again.stdout
    assert len(submissions(folder)) == 1
    assert "10000 queued" in cli("status", folder).stdout
    assert cli("cancel", folder, "--yes").stdout.startswith("20 jobs")
