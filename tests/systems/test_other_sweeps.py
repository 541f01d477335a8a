"""Laws of systems, and the sweeps of everybody else: what a run does not say is no error."""

import pytest

from feature_lazy.study.law import Joined, declared
from feature_lazy.study.laws import readings
from feature_lazy.study.table import read
from tests.study.stored_sweeps import plant

LAWS = [one for one in declared() if not one.foreign and not isinstance(one.across, Joined)]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Stored runs that say of their configuration next to nothing."""
    return read(plant(tmp_path_factory.mktemp("planted"), xs=(0.1, 10.0, 1000.0), seeds=2))


@pytest.mark.parametrize("one", LAWS, ids=lambda one: f"{one.paper} {one.name}")
def test_a_law_stands_runs_that_have_all_columns_and_no_configuration(one, table):
    lacking = [name for name in one.needs if name not in table]
    for row in readings(one, table.assign(**dict.fromkeys(lacking, table["kernel_change"]))):
        assert row.verdict
