"""Whole sweeps on a cluster: right numbers, failures that hide nothing, and nothing done twice."""

import pandas as pd
import pytest

from feature_lazy import load_sweep
from tests.processes import science
from tests.slurm.cluster import call, squeue
from tests.slurm.sweeps import CPU, JOB, THEIRS, finished, states, submissions, their_folder

GRID = ("alpha.value=0.1,0.2,0.5,1,2,5,10,20,50", "width.h=8,10")


def at_once(job):
    """The most tasks of an array that ran at the same time, by the accounting."""
    rows = call("sacct", "-X", "-n", "-P", "-j", job, "-o", "Start,End").splitlines()
    spans = pd.DataFrame([row.split("|") for row in rows], columns=["start", "end"]).apply(pd.to_datetime)
    # A task that ends in the second in which another starts makes room for it.
    return max(((spans.start <= t) & (spans.end > t)).sum() for t in spans.start)


@pytest.fixture(scope="module")
def swept(tmp_path_factory, cluster, train_py):
    """An array of 18 cells, three at once, waited for."""
    folder = tmp_path_factory.mktemp("swept") / "results"
    return folder, train_py(folder, "-m", *CPU, "hydra.launcher.array_parallelism=3", *JOB, *GRID)


def test_eighteen_cells_end_as_eighteen_runs(swept):
    folder, done = swept
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(finished(folder)) == 18
    assert set(states(folder).values()) == {"COMPLETED"}
    assert "18 runs, 0 already done" in done.stdout
    assert f"feature-lazy status --watch {folder}" in done.stdout


def test_numbers_are_those_of_the_same_sweep_on_this_machine(swept, tmp_path, train_py):
    folder, _ = swept
    here = tmp_path / "here"
    assert train_py(here, "-m", *JOB, *GRID).returncode == 0
    assert {k: v[:2] for k, v in science(here).items()} == {k: v[:2] for k, v in science(folder).items()}


def test_array_parallelism_is_kept(swept):
    folder, _ = swept
    [job] = {job.partition("_")[0] for job in submissions(folder)[0]["jobs"]}
    assert at_once(job) <= 3


def test_repeated_command_submits_nothing(swept, train_py):
    folder, _ = swept
    done = train_py(folder, "-m", *CPU, *JOB, *GRID)
    assert done.returncode == 0
    assert "18 runs, 18 already done" in done.stdout
    assert len(submissions(folder)) == 1


def test_three_accidents_are_named_and_fifteen_runs_are_done(tmp_path, train_py, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(their_folder(tmp_path)))
    folder = tmp_path / "results"
    values = ",".join(map(str, range(1, 19)))
    done = train_py(
        folder, "-m", *CPU, *THEIRS, "dynamics.stepper=article", "dynamics.eps_gradient=1e-2", f"alpha.value={values}"
    )
    assert done.returncode != 0
    assert len(finished(folder)) == 15
    assert "3 jobs failed" in done.stdout
    table = {job: state for job, state in states(folder).items() if state != "COMPLETED"}
    assert sorted(table.values()) in (["FAILED", "FAILED", "OUT_OF_MEMORY"], ["FAILED", "FAILED", "FAILED"])
    failed = {run: job for s in submissions(folder) for job, runs in s["jobs"].items() for run in runs if job in table}
    words = {}
    for run, job in failed.items():
        words[job] = (folder / "runs" / run / "error.txt").read_text()
        assert words[job].splitlines()[0] in done.stdout.replace("\n  ", " "), done.stdout
    [raised] = [job for job, text in words.items() if "seven is not a pattern" in text]
    assert table[raised] == "FAILED"
    log = (folder / "slurm" / raised.partition("_")[0] / f"{raised}_0_log.err").read_text()
    assert "ArithmeticError: seven is not a pattern" in log
    assert "Traceback" in log
    others = [text.splitlines()[0] for job, text in words.items() if job != raised]
    assert any("signal 9" in text and "FAILED" in text for text in others), others
    assert any("memory" in text or "signal 9" in text for text in others), others


def test_arrays_are_split_at_the_clusters_limit_and_share_the_parallelism(tmp_path, train_py, test_key):
    folder = tmp_path / "results"
    values = ",".join(map(str, range(1, 26)))
    held = (
        "hydra.launcher.wait=false",
        "+hydra.launcher.additional_parameters.hold=true",
        "hydra.launcher.array_parallelism=5",
    )
    done = train_py(folder, "-m", *CPU, *held, *JOB, f"alpha.value={values}")
    assert done.returncode == 0, done.stdout + done.stderr
    [submission] = submissions(folder)
    arrays = {job.partition("_")[0] for job in submission["jobs"]}
    assert len(submission["jobs"]) == 25
    assert len(arrays) == 2
    assert set(squeue(test_key)) == set(submission["jobs"])
    text = [call("scontrol", "show", "job", array) for array in sorted(arrays)]
    assert ["ArrayTaskThrottle=3" in text[0], "ArrayTaskThrottle=2" in text[1]] == [True, True]


def test_sweep_can_be_read_as_one(swept):
    table = load_sweep(swept[0]).table
    assert len(table) == 18
    assert set(table["h"]) == {8, 10}
