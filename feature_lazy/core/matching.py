"""Values of runs as a person means them, on a command line or in Python."""

import math
from typing import Any

import numpy as np


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one, or what a person's text means: 1e2 is 100, to nine digits."""
    number = _number(wanted)
    if number is None or isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return str(value).lower() == str(wanted).lower()
    return math.isclose(float(value), number, rel_tol=1e-9)


def _number(wanted: Any) -> float | None:
    if isinstance(wanted, bool):
        return None
    try:
        return float(wanted)
    except (TypeError, ValueError):
        return None
