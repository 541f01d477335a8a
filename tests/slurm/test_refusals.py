"""What a cluster refuses is said in its own words, with what to change, before anything is submitted."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.slurm.cluster import call, sbatch, squeue, wait_until
from tests.slurm.sweeps import CPU, JOB, finished, job_of, states, submissions

REFUSALS = {
    "hydra.launcher.partition=nowhere": (
        "invalid partition specified",
        "hydra.launcher.partition",
        "main, short, high",
    ),
    "hydra.launcher.partition=short hydra.launcher.timeout_min=30": ("time limit", "timeout_min", "short 10:00"),
    "hydra.launcher.gpus_per_node=5": ("node configuration is not available", "gpus_per_node", "gpu:2"),
    "hydra.launcher.gres=gpu:h100:1": ("node configuration is not available", "hydra/launcher=slurm_cpu", "gpu:2"),
    "hydra.launcher.mem_gb=100000": ("node configuration is not available", "mem_gb", "main"),
}


@pytest.mark.parametrize("overrides", REFUSALS)
def test_refused_before_the_first_job(tmp_path, train_py, overrides, test_key):
    folder = tmp_path / "results"
    done = train_py(folder, "-m", *CPU, *overrides.split(), *JOB, "alpha.value=1,2")
    assert done.returncode != 0
    text = " ".join(done.stderr.split())
    assert "SLURM says:" in text
    for words in REFUSALS[overrides]:
        assert words.lower() in text.lower()
    assert "Traceback" not in text
    assert squeue(test_key) == {}
    assert submissions(folder) == []


def test_results_folder_that_the_nodes_do_not_see(tmp_path):
    """The command runs where a file system of its own lies over the results folder; the nodes see the empty one."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here (unshare -m)")
    folder = tmp_path / "hidden"
    folder.mkdir()
    train = " ".join(f"'{one}'" for one in ("-m", *CPU, *JOB, "alpha.value=1,2", f"output_dir={folder}/results"))
    script = f"mount -t tmpfs tmpfs {folder} && {sys.executable} train.py {train}; code=$?; ls {folder}; exit $code"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode != 0
    assert "can the nodes see" in done.stdout
    assert "output_dir" in done.stdout


def test_gpus_reach_the_job(tmp_path, train_py):
    from feature_lazy.runs.reading import load_run

    folder = tmp_path / "results"
    gpu = [one.replace("slurm_cpu", "slurm_gpu") for one in CPU]
    done = train_py(folder, "-m", *gpu, *JOB, "alpha.value=1,2")
    assert done.returncode == 0, done.stdout + done.stderr
    for run_id in finished(folder):
        [segment] = load_run(folder / "runs" / run_id).provenance["segments"]
        assert segment["environment"]["CUDA_VISIBLE_DEVICES"] in {"0", "1"}


def test_submission_from_inside_an_allocation(tmp_path):
    folder = tmp_path / "results"
    arguments = " ".join(f"'{one}'" for one in ("-m", *CPU, *JOB, "alpha.value=1,2", f"output_dir={folder}"))
    job = sbatch(f"cd {ROOT} && {sys.executable} train.py {arguments}", "--mem=1G", "--cpus-per-task=3", "--time=5")
    wait_until(lambda: len(finished(folder)) == 2, 120, "both runs are done")
    assert job not in {one.partition("_")[0] for one in submissions(folder)[0]["jobs"]}
    wait_until(lambda: set(states(folder).values()) == {"COMPLETED"}, 30, "the accounting says so")
    wait_until(lambda: job not in call("squeue", "-h", "-o", "%A").split(), 60, "the outer job has seen it")


def test_wait_false_status_cancel_and_retry(tmp_path, train_py, cli, test_key):
    folder = tmp_path / "results"
    held = ("hydra.launcher.wait=false", "+hydra.launcher.additional_parameters.hold=true")
    done = train_py(folder, "-m", *CPU, *held, *JOB, "alpha.value=1,2", "width.h=8,10")
    assert done.returncode == 0
    assert "4 jobs submitted" in done.stdout
    assert "feature-lazy cancel" in done.stdout
    again = train_py(folder, "-m", *CPU, *held, *JOB, "alpha.value=1,2", "width.h=8,10")
    assert "4 runs in SLURM's queue already" in again.stdout
    assert len(submissions(folder)) == 1
    text = " ".join(cli("status", folder).stdout.split())
    assert "4 queued" in text
    assert "JobHeld" in text
    assert "0 runs" in cli("retry", folder, "--state", "queued").stdout

    assert "2 jobs" in cli("cancel", folder, "--where", "h=10").stdout
    assert len(squeue(test_key)) == 4
    assert cli("cancel", folder, "--where", "h=10", "--yes").returncode == 0
    wait_until(lambda: len(squeue(test_key)) == 2, 30, "two jobs are cancelled")
    cancelled = "2 interrupted: cancelled"  # the accounting hears of it a moment later
    wait_until(lambda: cancelled in " ".join(cli("status", folder).stdout.split()), 30, cancelled)
    assert "2 runs" in cli("retry", folder, "--dry-run").stdout

    for job in squeue(test_key):
        call("scontrol", "release", job)
    wait_until(lambda: len(finished(folder)) == 2, 90, "the others are done")
    assert cli("retry", folder, "--here").returncode == 0
    assert len(finished(folder)) == 4
    assert "4 done" in " ".join(cli("status", folder).stdout.split())


def test_job_of_cells_that_are_not_all_meant_stays(tmp_path, train_py, cli, test_key):
    folder = tmp_path / "results"
    held = ("hydra.launcher.wait=false", "+hydra.launcher.additional_parameters.hold=true", "hydra.launcher.pack=2")
    assert train_py(folder, "-m", *CPU, *held, *JOB, "width.h=8,10").returncode == 0
    refused = cli("cancel", folder, "--where", "h=10", "--yes")
    assert refused.returncode == 1
    assert f"Jobs {job_of(folder)} also train runs that are not meant" in refused.stdout
    assert cli("cancel", folder, "--yes").returncode == 0
    wait_until(lambda: squeue(test_key) == {}, 30, "the job is cancelled")
