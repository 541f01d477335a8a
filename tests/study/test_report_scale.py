"""A thousand runs: the report reads each file once or twice and stays small."""

from collections import Counter

import pytest

from feature_lazy.study.report import write_report
from tests.study.stored_sweeps import plant
from tests.work import opened


@pytest.mark.slow
def test_a_thousand_runs(tmp_path):
    """Bound: 15 MB. Measured: 9.8 MB."""
    plant(
        tmp_path,
        widths=(30, 100, 300, 1000),
        xs=tuple(10.0 ** (k / 2) for k in range(-8, 17)),
        seeds=10,
        observations=80,
    )
    files = Counter(opened(lambda: write_report(tmp_path)))
    path = tmp_path / "report.html"
    assert max(count for name, count in files.items() if "/runs/" in name) <= 2
    assert path.stat().st_size < 15e6
    assert path.read_text().count('"begin"') == 1000 + 100  # members and means
