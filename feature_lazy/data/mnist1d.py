"""MNIST-1D: ten short curves, padded, moved, sheared and made noisy (Greydanus and Kobak, arXiv:2011.14439).

The curves' templates are in no other place than the authors' package, so it draws the patterns: data seed 42 gives the
very set of the publication. Nothing is downloaded, and the global random streams that the package uses are put back.
"""

import random

import numpy as np


def generate(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw 5000 patterns of 40 numbers, 500 in each of ten classes, with the publication's parameters.

    Args:
        seed: the data seed.

    Returns:
        Patterns (5000, 40) and their classes (5000,), in random order.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    arguments = get_dataset_args()
    vars(arguments)["seed"] = seed
    before = random.getstate(), np.random.get_state()
    try:
        data = make_dataset(arguments)
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
    parts = [np.concatenate([data[name], data[f"{name}_test"]]) for name in ("x", "y")]
    return parts[0].astype(np.float64), parts[1].astype(np.int64)
