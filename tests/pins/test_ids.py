"""Run ids, columns and sweeps are those that stored runs and queued jobs have."""

import pytest

from tests.pins import cases, golden, ways

IDS = golden.read("ids")
GROUPS = sorted({name.partition("=")[0] for name in IDS})
"""The first group that a case sets: a test for each."""


@pytest.mark.parametrize("group", GROUPS)
def test_ids_and_columns_of_every_option_and_key(group, tmp_path):
    pinned = {name: one for name, one in IDS.items() if name.partition("=")[0] == group}
    found = {}
    with ways.own_code(tmp_path):
        for name in pinned:
            config = ways.Jobs().quickly(cases.IDS[name])
            ways.validate(config)
            found[name] = ways.identity(config)
    golden.check(pinned, found, exact=True)


def test_every_case_is_pinned_and_no_pin_is_taken_away():
    for pins, listed in (("ids", cases.IDS), ("histories", cases.HISTORIES), ("tracked", cases.TRACKED)):
        assert set(golden.read(pins)) == set(listed), "run python -m tests.pins.make for new cases; keep the old ones"
    assert set(golden.read("experiments")) <= set(golden.experiments())
    assert set(cases.BITS) <= set(cases.HISTORIES)


def test_pinned_ids_differ_but_where_nothing_of_science_does():
    """So that a case which lost its meaning, because a key is no longer heard, is noticed."""
    default = IDS["dataset=digits"]["run_ids"]
    same = {name for name, one in IDS.items() if one["run_ids"] == default}
    named = {name for name in same if name.startswith("tracking=")}
    assert named == {name for name in IDS if name.startswith("tracking=")}
    assert {name.partition("=")[2] for name in same - named} == {
        *("digits", "parity", "fully_connected", "ntk", "softplus", "soft_hinge", "gradient_flow", "rescaled"),
        *("uniform", "single", "log", "", "2", "2GiB", "10", "5", "elsewhere", "cuda"),
        *("gradient_flow dynamics.max_steps=9", "gradient_flow dynamics.time_budget=9"),
    }


@pytest.mark.parametrize("part", range(4))
def test_ids_of_every_experiment(part):
    pinned = dict(list(golden.read("experiments").items())[part::4])
    golden.check(pinned, {name: golden.sweep(name) for name in pinned}, exact=True)


def test_ids_of_the_users_command():
    found = [ways.identity(config) for config in ways.Jobs().of(cases.COMMAND)]
    ids = {run: one["columns"][i] for one in found for i, run in enumerate(one["run_ids"])}
    golden.check(golden.read("command"), ids, exact=True)
