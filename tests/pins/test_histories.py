"""Tiny runs of every kind give the numbers that they gave when they were pinned."""

import pytest

from tests.pins import cases, golden, ways

HISTORIES = golden.read("histories")


@pytest.mark.parametrize("name", HISTORIES)
def test_history_summary_and_arrays(name, tmp_path):
    overrides = cases.HISTORIES[name]
    with ways.own_code(tmp_path):
        config = ways.composed([*overrides, f"output_dir={tmp_path / 'results'}"])
        found = [golden.of_run(run) for run in ways.trained(config)]
    golden.check(HISTORIES[name], found, single="dtype=float32" in overrides)


@pytest.mark.parametrize(
    ("new", "same"),
    [
        ({"a": [1.0, 1e-3], "n": 3}, True),
        ({"a": [1.0, 1e-3], "n": 3, "later": 1}, True),
        ({"a": [1.0 + 1e-11, 1e-3 + 1e-13], "n": 3}, True),
        ({"a": [1.0 + 1e-9, 1e-3], "n": 3}, False),
        ({"a": [1.0, 1e-3 + 1e-11], "n": 3}, False),
        ({"a": [1.0], "n": 3}, False),
        ({"a": [1.0, float("nan")], "n": 3}, False),
        ({"a": [1.0, 1e-3], "n": 3.0}, False),
        ({"a": [1.0, 1e-3]}, False),
    ],
)
def test_what_counts_as_a_difference(new, same):
    assert (list(golden.differences({"a": [1.0, 1e-3], "n": 3}, new)) == []) == same


def test_failure_says_what_to_do():
    with pytest.raises(AssertionError, match=r"(?s)/a is missing.*SCIENCE_VERSION.*python -m tests\.pins\.make"):
        golden.check({"a": 1}, {})
