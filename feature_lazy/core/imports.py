"""Imports that last as long as the process, of which the garbage collector need not know."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting(heavy: str) -> Iterator[None]:
    """Let the garbage collector pass over what there is when a heavy package has been imported, now and later.

    It finds nothing in hundreds of thousands of objects, while they are made and again when the process ends: for
    PyTorch half a second. Where the package is there already, nothing changes: a second freeze would keep the garbage
    of whatever has been done meanwhile.

    Args:
        heavy: name of the package.
    """
    on = gc.isenabled()
    if heavy in sys.modules or not on:
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
