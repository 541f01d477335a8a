"""Whether a run that was trained again is the same: bit for bit, to rounding, or not."""

from dataclasses import dataclass

import numpy as np

from feature_lazy.core.fingerprints import HALF
from feature_lazy.runs.reading import HISTORY, OUTPUTS, Run

BITS, ROUNDING, DIFFERENT = "equal bit for bit", "equal to rounding", "different"
TOLERANCE = {"float64": HALF, "float32": 2.0**-12}
"""√ε: the half of the digits that rounding leaves where it is amplified, of a column's largest value."""


@dataclass(frozen=True)
class Likeness:
    """What two runs have in common.

    Attributes:
        verdict: ``BITS``, ``ROUNDING`` or ``DIFFERENT``.
        where: the observable or output with the largest difference, or what only one of them has.
        size: that difference, over the largest value of the column; inf where nothing can be compared.
    """

    verdict: str
    where: str = ""
    size: float = 0.0

    def __str__(self) -> str:
        """For people."""
        if self.verdict == BITS:
            return self.verdict
        return f"{self.verdict}: {self.where}" + (
            f" differs by {self.size:.1e} of its size" if self.size < np.inf else ""
        )


def alike(before: Run, after: Run) -> Likeness:
    """Compare all observations and final outputs of two complete runs.

    Raises:
        DamagedRunError: one that is damaged.
    """
    files = (HISTORY, OUTPUTS)
    for run in (before, after):
        run.verify()
    if all(before.manifest["files"].get(name) == after.manifest["files"].get(name) for name in files):
        return Likeness(BITS)
    if before.summary.get("outcome") != after.summary.get("outcome"):
        return Likeness(
            DIFFERENT, f"it ended {before.summary.get('outcome')} and now {after.summary.get('outcome')}", np.inf
        )
    worst = Likeness(ROUNDING, "nothing", 0.0)
    for old, new in ((before.history, after.history), (before.outputs, after.outputs)):
        if lacking := sorted(set(old) - set(new)):
            return Likeness(DIFFERENT, f"{lacking[0]} is not there any more", np.inf)
        for name, values in old.items():
            if values.shape != new[name].shape:
                return Likeness(DIFFERENT, f"{name} has the shape {new[name].shape}, it had {values.shape}", np.inf)
            if (size := _difference(values, new[name])) > worst.size:
                worst = Likeness(ROUNDING, name, size)
    tolerance = TOLERANCE.get(str(before.config.get("dtype")), HALF)
    return worst if worst.size <= tolerance else Likeness(DIFFERENT, worst.where, worst.size)


def _difference(old: np.ndarray, new: np.ndarray) -> float:
    """Largest difference over the largest value; what is not finite is equal to the same alone."""
    at = np.isfinite(old)
    if not np.array_equal(old[~at], new[~at], equal_nan=True) or not np.isfinite(new[at]).all():
        return np.inf
    if not at.any():
        return 0.0
    gap = float(np.abs(old[at].astype(float) - new[at].astype(float)).max())
    return gap / float(np.abs(old[at]).max()) if gap else 0.0
