"""How much to do at once: chunks of patterns under one memory limit."""

import re
from collections.abc import Iterator

# A forward pass with its graph and the backward pass through it hold about this many copies of the stored
# activations (value, saved input, gradient, and two temporaries of the activation function).
COPIES_PER_ACTIVATION = 5


def chunk_size(n_items: int, bytes_per_item: float, memory_limit: float) -> int:
    """Largest number of items, at least 1 and at most n_items, whose bytes stay within memory_limit."""
    return max(1, int(min(n_items, memory_limit / max(bytes_per_item, 1))))


def chunks(n_items: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` items that cover range(n_items) in order."""
    for start in range(0, n_items, size):
        yield slice(start, min(start + size, n_items))


UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_bytes(text: str) -> float:
    """Number of bytes that a text such as ``500MB`` or ``2GiB`` means.

    Raises:
        ValueError: anything else, or a size that is not positive.
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?(?:[eE][0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if not match or match[2].upper() not in UNITS or not float(match[1]) > 0:
        raise ValueError("must be a positive size such as 500MB or 2GiB")
    return float(match[1]) * UNITS[match[2].upper()]
