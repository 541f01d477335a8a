"""What W&B is given has the names that people's dashboards and reports ask for."""

import pytest

from tests.pins import cases, golden, ways
from tests.runs.wandb_files import nobody, offline_runs  # noqa: F401 - a fixture

TRACKED = golden.read("tracked")


@pytest.mark.parametrize("name", TRACKED)
def test_names_in_wandb(name, tmp_path, nobody):  # noqa: F811
    ways.trained(ways.composed([*cases.TRACKED[name], f"output_dir={tmp_path / 'results'}"]))
    nobody()
    found = [golden.of_tracked(one) for _, [one] in sorted(offline_runs(tmp_path / "results").items())]
    golden.check(TRACKED[name], found, exact=True)
