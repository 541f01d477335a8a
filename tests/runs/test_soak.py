"""A short soak: processes that are killed, stopped and taken over leave what one that nobody disturbed would."""

import pytest

from tests.conftest import TINY, composed
from tests.processes import science, train
from tests.runs.soak import JOBS, soak


@pytest.mark.parametrize("job", JOBS, ids=range(len(JOBS)))
def test_every_job_ends_by_itself(tmp_path, job):
    """What a budget stops is never done, and a long soak would come to it late."""
    train(composed(*TINY, *job, f"output_dir={tmp_path}"))
    assert science(tmp_path)


def test_a_few_disturbances(tmp_path):
    happened = soak(tmp_path, 0, events=8)
    assert happened["kill"] + happened["stop"] + happened["term"] > 3
    assert happened["goes on"] > 2  # from a checkpoint
    assert happened["sweeps"] >= 1
