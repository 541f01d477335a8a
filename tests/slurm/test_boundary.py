"""A boundary search on a cluster: an array for each round, and nothing twice."""

import json

from tests.slurm.sweeps import CPU, JOB, finished, submissions

SEARCH = (
    "-m",
    "hydra/sweeper=boundary",
    *CPU,
    *JOB,
    *("seed=ensemble", "seed.members=2", "width.h=8,12"),
    *("hydra.sweeper.level=0.1", "hydra.sweeper.low=10", "hydra.sweeper.resolution=1"),
)


def test_each_round_is_an_array_and_a_repeated_command_submits_nothing(tmp_path, train_py):
    folder = tmp_path / "results"
    done = train_py(folder, *SEARCH)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "boundary.json").read_text())
    assert all(10 < one["sqrt_h_alpha"] < 1000 for one in report["boundaries"])
    assert len(finished(folder)) == sum(one["runs"] for one in report["boundaries"])
    rounds = len(submissions(folder))
    # Both ends of both brackets at once, then one α of each search.
    assert [len(one["jobs"]) for one in submissions(folder)][:2] == [4, 2]
    again = train_py(folder, *SEARCH)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 of them asked for now" in again.stdout
    assert len(submissions(folder)) == rounds
