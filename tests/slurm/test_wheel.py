"""The wheel submits to the cluster from a folder that has nothing of the checkout."""

import os
import subprocess

from feature_lazy.runs.reading import load_run
from tests.slurm.sweeps import CPU

SWEEP = ("dataset.n_train=20", "dataset.n_test=20", "observe.kernel.probe=10", "width.h=4,8", "alpha.value=10")


def test_a_sweep_of_the_wheel_is_trained_by_the_cluster(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [str(installed / "feature-lazy"), "train", "-m", *CPU, *SWEEP, f"output_dir={tmp_path}/results"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [load_run(path.parent) for path in (tmp_path / "results").glob("runs/*/done")]
    assert sorted(run.columns["h"] for run in runs) == [4, 8]
    assert {run.summary["outcome"] for run in runs} == {"converged"}
