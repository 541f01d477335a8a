"""A short soak: processes that are killed, stopped and taken over leave what one that nobody disturbed would."""

from tests.runs.soak import soak


def test_a_few_disturbances(tmp_path):
    happened = soak(tmp_path, 0, events=12)
    assert happened["kill"] + happened["stop"] + happened["term"] > 5
    assert happened["sweeps"] >= 1
