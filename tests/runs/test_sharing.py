"""Many processes in one results folder: nothing is lost, and nothing trained twice."""

from feature_lazy.runs.plan import read_plans, write_plan
from feature_lazy.runs.survey import RunState, survey
from feature_lazy.runs.sweep import load_sweep
from tests.conftest import QUICK
from tests.processes import PROCESSES, science, start, train

JOB = (*QUICK, "observe.kernel.probe=0", "observe.per_decade=1", "dynamics.eps_gradient=1e-1")


def compete(config, barrier):
    barrier.wait()
    write_plan_of(config)
    train(config)


def write_plan_of(config):
    from pathlib import Path

    write_plan(Path(config.output_dir), [config])


def test_fifty_processes_add_to_one_sweep(tiny, tmp_path):
    """Each wants four seeds; neighbours want some of the same, and start at the same moment."""
    configs = [tiny(*JOB, "seed=ensemble", "seed.members=4", f"seed.first={2 * k}") for k in range(50)]
    barrier = PROCESSES.Barrier(50)
    processes = [start(compete, config, barrier) for config in configs]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    sweep = load_sweep(tmp_path / "results")
    assert sweep.table["seed"].tolist() == list(range(102))
    assert {len(run.provenance["segments"]) for run in sweep.runs} == {1}
    assert {entry.state for entry in survey(sweep.root).entries} == {RunState.DONE}
    jobs, problems = read_plans(sweep.root)
    assert (len(jobs), problems) == (50, [])
    for run in sweep.runs:
        run.verify()
        assert run.history["t"].tolist() == sorted(set(run.history["t"]))


def test_two_launchers_of_the_same_sweep(train_py, tmp_path):
    """Started together: what one trains the other leaves to it, and both end well."""
    import subprocess
    import sys

    from tests.conftest import ROOT, TINY

    results = tmp_path / "results"
    job = [sys.executable, "train.py", "-m", *TINY, *QUICK, "width.h=4,5,6,7", f"output_dir={results}", "threads=1"]
    both = [subprocess.Popen(job, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in "ab"]
    for process in both:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    alone = tmp_path / "alone"
    process = train_py(alone, "-m", *TINY, *QUICK, "width.h=4,5,6,7")
    assert process.returncode == 0
    assert science(results) == science(alone)
    assert {len(run.provenance["segments"]) for run in load_sweep(results).runs} == {1}
