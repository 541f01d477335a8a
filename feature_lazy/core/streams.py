"""Random streams: one per purpose, decided by a seed alone.

Initialisation depends on ``seed`` only, never on α, width of other runs, or Python's ``hash``, so that
runs that differ in α share their initial weights (spec: "the initialisation depends on the seed alone").
"""

import zlib

import numpy as np


def stream(seed: int, *purpose: str) -> np.random.Generator:
    """Return the random stream that belongs to ``seed`` and ``purpose``.

    Args:
        seed: non-negative integer.
        purpose: words such as ``("initialisation", "W0")``; distinct words give independent streams.

    Returns:
        A Philox generator: counter based, the same on every platform and in every process.
    """
    words = [zlib.crc32(word.encode()) for word in purpose]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words])))
