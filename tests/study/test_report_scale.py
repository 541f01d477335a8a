"""A thousand runs: the report is written in seconds and stays small."""

import time

import pytest

from feature_lazy.study.report import write_report
from tests.study.stored_sweeps import plant


@pytest.mark.slow
def test_a_thousand_runs(tmp_path):
    """Bounds: 10 s, of this process alone, and 15 MB. Measured: 7 s and 9.8 MB."""
    plant(
        tmp_path,
        widths=(30, 100, 300, 1000),
        xs=tuple(10.0 ** (k / 2) for k in range(-8, 17)),
        seeds=10,
        observations=80,
    )
    began = time.process_time()
    path = write_report(tmp_path)
    assert time.process_time() - began < 10
    assert path.stat().st_size < 15e6
    assert path.read_text().count('"begin"') == 1000 + 100  # members and means
