"""What a person writes means the same on every command line and in Python."""

import numpy as np
import pytest

from feature_lazy.core.matching import matches


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (100, "1e2"),
        (0.1, "0.1000000000001"),
        (np.float64(3), 3),
        (True, "true"),
        (True, True),
        ("relu", "ReLU"),
        (3, "3"),
    ],
)
def test_same(value, wanted):
    assert matches(value, wanted)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (100, "101"),
        (0.1, "0.1001"),
        (True, "1"),
        (True, 1),
        (1, True),
        ("relu", "erf"),
        (3, "three"),
        (3, None),
        (None, 0),
    ],
)
def test_different(value, wanted):
    assert not matches(value, wanted)
