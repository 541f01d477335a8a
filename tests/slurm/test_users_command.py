"""The command that users send to a cluster is accepted, ends, and trains the runs that are pinned."""

import pytest

from feature_lazy.runs.reading import load_run
from tests.pins import cases, golden
from tests.runs.wandb_files import offline_runs
from tests.slurm.cluster import call, squeue
from tests.slurm.sweeps import finished, states, submissions

GPU = ("hydra/launcher=slurm_gpu", "hydra.launcher.timeout_min=60", "hydra.launcher.signal_delay_s=30")
"""The second and third are of this cluster, as other sites have theirs in slurm/site.yaml."""


@pytest.fixture(scope="module")
def sent(tmp_path_factory, cluster, train_py):
    """The command, waited for."""
    folder = tmp_path_factory.mktemp("users") / "results"
    return folder, train_py(folder, "-m", *GPU, *cases.COMMAND)


def test_users_command_ends_with_the_pinned_runs(sent):
    folder, done = sent
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 runs, 0 already done" in done.stdout
    pinned = golden.read("command")
    assert finished(folder) == set(pinned)
    golden.check(pinned, {run: load_run(folder / "runs" / run).columns for run in pinned}, exact=True)


def test_each_job_had_a_gpu(sent):
    folder, _ = sent
    table = states(folder)
    assert set(table.values()) == {"COMPLETED"}
    # The accounting counts no GPUs here; the controller remembers jobs for five minutes.
    asked = [call("scontrol", "show", "job", job) for job in table]
    assert all("gpu:1" in text for text in asked), asked


def test_runs_are_in_wandb_under_their_ids(sent):
    folder, _ = sent
    assert set(offline_runs(folder)) == set(golden.read("command"))


def test_same_command_again_submits_nothing(sent, train_py, test_key):
    folder, _ = sent
    done = train_py(folder, "-m", *GPU, *cases.COMMAND)
    assert "4 runs, 4 already done" in done.stdout
    assert (len(submissions(folder)), squeue(test_key)) == (1, {})
